"""Grad-CAM against the closed form of a global mean, and the map of the anchors by hand."""

import dataclasses

import jax
import numpy as np
import pytest

from iid_jax import boxes
from iid_jax.checkpoint import Loaded, load_detector
from iid_jax.errors import UsageError
from iid_jax.leakage.cam import HEAT_SIDE, compile_maps, places
from iid_jax.leakage.network import Network
from iid_jax.models import detector
from iid_jax.models.initial import initialise


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (3, 56, 56, 3)).astype(np.uint8)


def test_grad_cam_is_the_map_weighted_by_the_mean_gradient(network, images):
    found = compile_maps(network, "map")(images)
    cells = network.spec.normalise(images).reshape(3, 7, 8, 7, 8, 3).mean((2, 4))
    expected = np.maximum(cells[..., 0] / 49, 0)  # d logit / d red is 1/49 in every cell
    np.testing.assert_allclose(found.cam, expected, atol=1e-6)
    assert found.anchors is None and found.boxes is None


def test_a_feature_that_no_layer_gives_out_is_refused_with_what_there_is(network):
    assert set(places(network)) == {"map"}
    with pytest.raises(UsageError, match="no map for Grad-CAM in 'double'"):
        compile_maps(network, "double")
    with pytest.raises(UsageError, match="no feature 'mop'"):
        compile_maps(network, "mop")


@pytest.fixture(scope="module")
def trained(run_dir):
    return Network("run", load_detector(run_dir), batch_size=2)


def test_on_the_plain_classifier_it_is_the_class_activation_map(trained):
    """A linear layer on the mean of the last map: the gradient is its weights over the cells."""
    model = dataclasses.replace(trained.loaded.config.model, adm=False)
    config = dataclasses.replace(trained.loaded.config, model=model)
    module, spec, anchors = detector.build_detector(model)
    variables = initialise(module, spec, seed=0)
    plain = Network("plain", Loaded(module, variables, spec, anchors, config, 0))
    pictures = np.random.default_rng(1).integers(0, 256, (2, spec.size, spec.size, 3))
    pictures = pictures.astype(np.uint8)
    found = compile_maps(plain, "map")(pictures)
    values = np.asarray(jax.jit(plain.outputs)(variables, pictures).features["map"], np.float64)
    kernel = np.asarray(variables["params"]["classifier"]["kernel"], np.float64)
    weights = (kernel[:, 1] - kernel[:, 0]) / np.prod(values.shape[1:3])
    expected = np.maximum(values @ weights, 0)
    assert expected.max() > 0
    np.testing.assert_allclose(found.cam, expected, atol=0.02 * expected.max())


def test_the_map_of_the_anchors_is_the_best_score_of_a_local_box_there(trained):
    size = trained.spec.size
    pictures = np.random.default_rng(2).integers(0, 256, (2, size, size, 3)).astype(np.uint8)
    found = compile_maps(trained, "map")(pictures)
    outputs = jax.jit(trained.outputs)(trained.loaded.variables, pictures)
    anchors = trained.loaded.anchors
    local = len(anchors) - boxes.FULL_ANCHORS
    centres = (np.arange(HEAT_SIDE) + 0.5) / HEAT_SIDE
    for place in range(2):
        decoded = np.asarray(boxes.decode(outputs.deltas[place], anchors))[:local]
        logits = np.asarray(outputs.box_logits[place], np.float64)[:local]
        chance = 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))
        for y, x in ((3, 5), (28, 28), (50, 40)):
            inside = (decoded[:, 0] <= centres[x]) & (centres[x] < decoded[:, 2])
            inside &= (decoded[:, 1] <= centres[y]) & (centres[y] < decoded[:, 3])
            expected = chance[inside].max() if inside.any() else 0.0
            assert found.anchors[place, y, x] == pytest.approx(expected, abs=2e-3)
    assert (np.diff(found.box_scores, axis=1) <= 0).all()
