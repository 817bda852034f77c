"""Backbones and the whole detector against the reference PyTorch implementation (golden/model_*).

The golden outputs are the reference's float64 run on float32 weights and the uint8 input as it
is. In float32 the reference's own run drifts from that by 1e-6 in eval mode; in train mode, where
every layer divides by a batch's deviation, by 4e-5 (ResNet-34 and ADM) and 6e-5 (ResNet-50).
"""

import contextlib
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from iid_jax import losses, models
from iid_jax.config import OptimConfig
from iid_jax.models import weights
from iid_jax.models.detector import Detector
from iid_jax.training import optim

EVAL = {"float64": 1e-9, "float32": 1e-5}
TRAIN = {"float64": 1e-9, "float32": 3e-4}
TAPS = {"maxpool": "stem", "layer1": "stage1", "layer2": "stage2", "layer3": "stage3"}
# An EfficientNet's stages, by their last blocks.
TAPS |= {
    f"efficientnet_b0 _blocks.{n}": f"stage{s}" for s, n in enumerate((0, 2, 4, 7, 10, 14, 15), 1)
}
TAPS |= {
    f"efficientnet_b3 _blocks.{n}": f"stage{s}" for s, n in enumerate((1, 4, 7, 12, 17, 23, 25), 1)
}
TAPS |= {
    f"efficientnet_b4 _blocks.{n}": f"stage{s}" for s, n in enumerate((1, 5, 9, 15, 21, 29, 31), 1)
}
MAP_STEP, TRAIN_MAP_STEP = 8, 16
BETA = 0.1
long = pytest.mark.long
BACKBONES = [
    ("resnet18", "float64"),
    pytest.param("resnet34", "float64", marks=long),
    pytest.param("resnet50", "float64", marks=long),
    pytest.param("resnet50", "float32", marks=long),
    ("efficientnet_b0", "float64"),
    pytest.param("efficientnet_b3", "float64", marks=long),
    pytest.param("efficientnet_b4", "float64", marks=long),
    pytest.param("efficientnet_b4", "float32", marks=long),
]
DETECTORS = [
    ("resnet34", "float64"),
    pytest.param("resnet34", "float32", marks=long),
    pytest.param("efficientnet_b3", "float64", marks=long),
    pytest.param("efficientnet_b4", "float64", marks=long),
]
STEPPED = ("resnet34", "efficientnet_b3", "efficientnet_b4")
# Gradients that are 0 but for rounding.
NO_SLOPE = 1e-12


def golden_name(backbone):
    return backbone.replace("_b", "-b")


def without_drops(backbone):
    """The golden training outputs were made with nothing dropped."""
    return {"drop_connect": 0.0} if backbone.startswith("efficientnet") else {}


@pytest.fixture(autouse=True)
def _room():
    """Programs of large networks in float64 are not kept."""
    yield
    jax.clear_caches()


@contextlib.contextmanager
def precision(name):
    with jax.enable_x64(name == "float64"):
        yield jnp.dtype(name)


@pytest.fixture
def loaded(from_torch):
    return partial(_loaded, from_torch)


def _loaded(from_torch, module, model, dtype):
    variables = from_torch(module, model.tensors)
    images = jnp.asarray(model.images, dtype)
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), variables), images


def evaluated(module, variables, images):
    return jax.jit(module.apply)(variables, images[:2])


def trained(module, variables, images):
    def forward(v, x):
        return module.apply(v, x, train=True, mutable=["batch_stats"])

    return jax.jit(forward)(variables, images)


def torch_order(maps):
    return np.asarray(maps).transpose(0, 3, 1, 2)


def sampled(array, count):
    flat = np.asarray(array).ravel()
    return flat[np.linspace(0, flat.size - 1, min(count, flat.size)).astype(np.int64)]


def assert_close(found, expected, tolerance):
    """Agreement relative to the largest value."""
    assert found.shape == expected.shape
    error = np.abs(np.asarray(found, np.float64) - expected).max() / np.abs(expected).max()
    assert error < tolerance


def assert_taps_close(backbone, features, expected, tolerance):
    prefix = f"{backbone} " if backbone.startswith("efficientnet") else ""
    seen = set()
    for row, torch_name in zip(
        expected["eval_tap_sample_f64"], expected["eval_tap_names"], strict=True
    ):
        if name := TAPS.get(f"{prefix}{torch_name}"):
            seen.add(name)
            assert_close(sampled(torch_order(features[name]), row.size), row, tolerance)

    assert len(seen) >= 4


def assert_running_statistics_close(batch_stats, expected, tolerance, prefix=""):
    for number, name in enumerate(expected["train_bn_names"]):
        for leaf in ("mean", "var"):
            path = weights.flax_path(f"{prefix}{name}.running_{leaf}", 1)
            node = batch_stats
            for key in path[2:] if prefix else path[1:]:
                node = node[key]
            assert_close(node, expected[f"train_bn{number}_{leaf}_f64"], tolerance)


@pytest.mark.parametrize(("backbone", "dtype"), BACKBONES)
def test_a_backbone_gives_the_references_features_and_statistics(
    backbone, dtype, golden_model, loaded
):
    model = golden_model(f"backbone_{golden_name(backbone)}")
    expected = model.expected
    with precision(dtype) as kind:
        module = models.create(backbone, dtype=kind, **without_drops(backbone))
        variables, images = loaded(module, model, kind)
        maps, features = evaluated(module, variables, images)
        (train_maps, _), updated = trained(module, variables, images)
    assert_close(torch_order(maps)[:, ::MAP_STEP], expected["eval_feat_sample_f64"], EVAL[dtype])
    assert_taps_close(backbone, features, expected, EVAL[dtype])
    train_sample = torch_order(train_maps)[:, ::TRAIN_MAP_STEP]
    assert_close(train_sample, expected["train_feat_sample_f64"], TRAIN[dtype])
    assert_running_statistics_close(
        updated["batch_stats"], expected, TRAIN[dtype], prefix="base_model."
    )


def test_efficientnet_b3_gives_the_references_features(golden_model, loaded):
    model = golden_model("backbone_efficientnet-b3")
    with precision("float32") as kind:
        module = models.create("efficientnet_b3")
        maps, features = evaluated(module, *loaded(module, model, kind))
    sample = torch_order(maps)[:, ::MAP_STEP]
    assert_close(sample, model.expected["eval_feat_sample_f64"], EVAL["float32"])
    assert_taps_close("efficientnet_b3", features, model.expected, EVAL["float32"])


@pytest.mark.parametrize(("backbone", "dtype"), DETECTORS)
def test_the_detector_gives_the_references_outputs_and_statistics(
    backbone, dtype, golden_model, loaded
):
    model = golden_model(f"caddm_{golden_name(backbone)}")
    expected = model.expected
    with precision(dtype) as kind:
        module = Detector(backbone, dtype=kind, dropout=0.0, **without_drops(backbone))
        variables, images = loaded(module, model, kind)
        found = evaluated(module, variables, images)
        trained_outputs, updated = trained(module, variables, images)
    assert_taps_close(backbone, found.features, expected, EVAL[dtype])
    assert_close(found.features["global"], expected["eval_global_f64"], EVAL[dtype])
    assert_close(found.features["artifact"], expected["eval_adm_final_f64"], EVAL[dtype])
    modes = (("eval", found, EVAL[dtype]), ("train", trained_outputs, TRAIN[dtype]))
    for mode, outputs, tolerance in modes:
        assert_close(outputs.deltas, expected[f"{mode}_loc_f64"], tolerance)
        assert_close(outputs.box_logits, expected[f"{mode}_conf_f64"], tolerance)
        assert_close(outputs.logits, expected[f"{mode}_logits_f64"], tolerance)
    assert_running_statistics_close(updated["batch_stats"], expected, TRAIN[dtype])


def test_the_detector_in_float32_gives_the_references_outputs(golden_model, loaded):
    model = golden_model("caddm_resnet34")
    module = Detector("resnet34")
    found = evaluated(module, *loaded(module, model, jnp.float32))
    assert_close(found.deltas, model.expected["eval_loc_f64"], EVAL["float32"])
    assert_close(found.box_logits, model.expected["eval_conf_f64"], EVAL["float32"])
    assert_close(found.logits, model.expected["eval_logits_f64"], EVAL["float32"])


def reference_loss(module, params, batch_stats, images, batch):
    """The reference's training loss, 0.1 of the multibox loss beside cross entropy, and terms."""
    variables = {"params": params, "batch_stats": batch_stats}
    outputs, _ = module.apply(variables, images, train=True, mutable=["batch_stats"])
    positive = jnp.asarray(batch["batch_conf_t"] > 0)
    boxes = losses.multibox(
        outputs.deltas,
        outputs.box_logits,
        jnp.asarray(batch["batch_loc_t"], images.dtype),
        positive,
        jnp.zeros_like(positive),
        min_negatives=0,
    )
    entropy = losses.cross_entropy(outputs.logits, jnp.asarray(batch["batch_labels"]))
    total = entropy + BETA * boxes.total
    return total, jnp.stack([entropy, boxes.loc, boxes.conf, total])


def by_torch_name(params, tensors):
    """Our leaves by the reference's names, without what it has and never trains."""
    found = {}
    for name, array in tensors.items():
        unused = name.startswith(("base_model.fc.", "base_model._fc."))
        if unused or name.rpartition(".")[2] not in ("weight", "bias"):
            continue
        node = params
        for key in weights.flax_path(name, array.ndim)[1:]:
            node = node[key]
        found[name] = node
    return found


def torch_sample(leaf):
    """The README's 256 values of a leaf, in PyTorch's order of axes."""
    layout = (3, 2, 0, 1) if leaf.ndim == 4 else tuple(reversed(range(leaf.ndim)))
    return sampled(np.asarray(leaf).transpose(layout), 256)


def block_norms(gradients, names, clip):
    total = dict.fromkeys(names, 0.0)
    for name, leaf in gradients.items():
        block = next(block for block in names if name.startswith(f"{block}."))
        total[block] += float(jnp.square(jnp.clip(leaf, -clip, clip)).sum())
    return np.sqrt(list(total.values()))


def stepped(params, gradients, model, config):
    """The tracked parameters after a step of our optimiser."""
    tracked = [str(name) for name in model.expected["track_names"]]
    leaves = by_torch_name(params, model.tensors)
    before, slopes = ({name: tree[name] for name in tracked} for tree in (leaves, gradients))
    tx = optim.optimiser(config, steps=1)
    updates, _ = tx.update(slopes, tx.init(before), before)
    updated = optax.apply_updates(before, updates)
    return {name: updated[name] for name in tracked}


@pytest.mark.long
@pytest.mark.parametrize("backbone", STEPPED)
def test_the_first_step_is_the_references(backbone, golden_model, loaded):
    model = golden_model(f"caddm_{golden_name(backbone)}")
    expected, config = model.expected, OptimConfig(schedule="constant")
    with precision("float64") as kind:
        module = Detector(backbone, dtype=kind, dropout=0.0, **without_drops(backbone))
        variables, images = loaded(module, model, kind)

        def loss(params, stats, images):
            return reference_loss(module, params, stats, images, expected)

        step = jax.jit(jax.grad(loss, has_aux=True))
        found, terms = step(variables["params"], variables["batch_stats"], images)
        gradients = by_torch_name(found, model.tensors)
        np.testing.assert_allclose(terms, expected["losses_ce_l_c_total_f64"][0], rtol=1e-9)
        blocks = [str(name) for name in expected["grad_block_names"]]
        for stage, clip in (("preclip", np.inf), ("postclip", config.clip_value)):
            norms = block_norms(gradients, blocks, clip)
            np.testing.assert_allclose(norms, expected[f"grad_norm_{stage}_f64"], rtol=1e-7)
        after = stepped(variables["params"], gradients, model, config)
    for number, name in enumerate(after):
        slope = expected[f"grad{number}_preclip_f64"]
        found = torch_sample(gradients[name])
        if np.abs(slope).max() < NO_SLOPE:
            # A bias before a BatchNorm: what is left is rounding, and so is its step.
            assert np.abs(found).max() < NO_SLOPE
            continue
        assert_close(found, slope, 1e-7)
        steep = np.abs(slope) > 1e-2 * np.abs(slope).max()
        row = expected[f"param{number}_after1_f64"]
        np.testing.assert_allclose(torch_sample(after[name])[steep], row[steep], rtol=0, atol=1e-9)
