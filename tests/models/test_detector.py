"""The detector, the plain classifier on the same backbone, and building them from a config."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from iid_jax import boxes
from iid_jax.config import ModelConfig
from iid_jax.errors import UsageError
from iid_jax.models import detector, xla
from iid_jax.models.detector import Detector
from iid_jax.models.initial import initialise
from iid_jax.models.input_spec import InputSpec

SPEC = InputSpec(112)


def abstract(module, side=112):
    """(variables, Outputs) as shapes and types."""
    images = jax.ShapeDtypeStruct((2, side, side, 3), jnp.float32)
    variables = jax.eval_shape(module.init, jax.random.key(0), images)
    return variables, jax.eval_shape(module.apply, variables, images)


def test_the_default_config_builds_the_detector_of_the_practice_canvas():
    module, spec, anchors = detector.build_detector(ModelConfig(dtype="float32"))
    _, found = abstract(module)
    assert (spec.size, spec.channels, spec.face_width) == (112, "RGB", 40.0)
    np.testing.assert_array_equal(anchors, boxes.anchors(112, 7))
    assert found.logits.shape == (2, 2)
    assert found.deltas.shape == (2, 168, 4)
    assert found.box_logits.shape == (2, 168, 2)


def test_without_the_adm_there_are_no_anchors_and_no_boxes():
    module, _, anchors = detector.build_detector(ModelConfig(adm=False, dtype="float32"))
    variables, found = abstract(module)
    assert anchors is None
    assert found.deltas is None
    assert found.box_logits is None
    assert set(variables["params"]) == {"trunk", "classifier"}


def test_features_are_named_from_stem_to_embedding():
    _, found = abstract(Detector("resnet_small"))
    stages = [f"stage{n}" for n in (1, 2, 3)]
    artifacts = [f"artifact{n}" for n in range(4)]
    names = ["stem", *stages, "map", "global", *artifacts, "artifact", "embedding"]
    assert sorted(found.features) == sorted(names)
    assert found.features["map"].shape == (2, 7, 7, 128)
    assert found.features["embedding"].shape == (2, 128)


@pytest.mark.parametrize("adm", [True, False])
def test_in_bfloat16_what_is_returned_is_float32(adm):
    _, found = abstract(Detector("resnet_small", adm=adm, dtype=jnp.bfloat16))
    outputs = [leaf for leaf in (found.logits, found.deltas, found.box_logits) if leaf is not None]
    outputs += [found.features["global"], found.features["embedding"]]
    assert {leaf.dtype for leaf in outputs} == {jnp.dtype(jnp.float32)}
    assert found.features["map"].dtype == jnp.bfloat16


def test_a_slim_adm_has_fewer_parameters_than_the_published_width():
    def count(width):
        variables, _ = abstract(Detector("resnet34", adm_width=width), 224)
        return sum(leaf.size for leaf in jax.tree.leaves(variables["params"]["artifact"]))

    assert count(None) == 22_204_464  # golden/params_caddm_resnet34.json, tensors `adm.*`
    assert count(128) < count(None) / 10


def test_the_logits_are_the_classifiers_of_the_embedding():
    module = Detector("resnet_small")
    variables = initialise(module, SPEC, seed=0)
    images = np.random.default_rng(0).integers(0, 256, (2, 112, 112, 3), np.uint8)
    found = jax.jit(module.apply)(variables, SPEC.normalise(images))
    classifier = variables["params"]["classifier"]
    total = found.features["global"] + found.features["artifact"]
    np.testing.assert_allclose(found.features["embedding"], total, rtol=1e-6)
    logits = np.asarray(total) @ classifier["kernel"] + classifier["bias"]
    np.testing.assert_allclose(found.logits, logits, rtol=1e-4, atol=1e-5)


def test_an_unknown_backbone_is_refused_with_the_nearest_name():
    with pytest.raises(UsageError, match=r"did you mean 'resnet_small'"):
        detector.build_detector(ModelConfig(backbone="resnet_smal"))


@pytest.mark.parametrize(
    ("backbone", "canvas", "nearest"),
    [("resnet_small", 100, 96), ("resnet_small", 64, 96), ("resnet18", 112, 192)],
)
def test_a_canvas_that_does_not_suit_is_refused_with_the_nearest(backbone, canvas, nearest):
    with pytest.raises(UsageError, match=rf"got {canvas} \(nearest: {nearest}\)"):
        detector.build_detector(ModelConfig(backbone=backbone, canvas=canvas))


@pytest.mark.parametrize(("canvas", "side"), [(96, 6), (112, 7), (224, 14)])
def test_the_feature_side_is_the_canvas_over_the_stride(canvas, side):
    assert detector.feature_side(ModelConfig(canvas=canvas)) == side


@pytest.mark.parametrize(
    ("backend", "fast_cpu", "expected"),
    [
        ("cpu", False, "float32"),
        ("cpu", True, "bfloat16"),
        ("gpu", False, "bfloat16"),
        ("tpu", False, "bfloat16"),
    ],
)
def test_auto_is_bfloat16_where_the_device_is_good_at_it(monkeypatch, backend, fast_cpu, expected):
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    monkeypatch.setattr(xla, "_cpu_has_bfloat16", lambda: fast_cpu)
    assert xla.compute_dtype("auto") == jnp.dtype(expected)
    assert xla.compute_dtype("float32") == jnp.float32


def test_dropout_changes_what_the_classifier_sees_in_training_alone():
    module = Detector("resnet_small", adm=False, dropout=0.5)
    variables = initialise(module, InputSpec(64), seed=0)
    images = jnp.asarray(np.random.default_rng(0).standard_normal((2, 64, 64, 3)), jnp.float32)

    @functools.partial(jax.jit, static_argnames="train")
    def logits(key, train):
        rngs, mutable = {"dropout": key}, ["batch_stats"]
        return module.apply(variables, images, train, rngs=rngs, mutable=mutable)[0].logits

    keys = jax.random.split(jax.random.key(0), 2)
    assert not np.allclose(logits(keys[0], train=True), logits(keys[1], train=True))
    np.testing.assert_array_equal(logits(keys[0], train=False), logits(keys[1], train=False))
