"""The names of published PyTorch weights, and the rule that makes the golden ones."""

import hashlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from iid_jax import models
from iid_jax.errors import DataError
from iid_jax.models import weights
from iid_jax.models.detector import Detector

# SHA-256 of the reference's input as (4, 3, 224, 224) uint8 (golden/input.npz).
INPUT_DIGEST = "29188e7262ca4ca98bc01275e48f4d88af729e51c0c976fecbc8f62e5072e50b"
BACKBONES = ("resnet18", "resnet34", "resnet50")


def described(variables):
    """{path: shape} of a tree of variables."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(variables)
    return {tuple(key.key for key in path): leaf.shape for path, leaf in leaves}


def own_variables(module):
    images = jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32)
    return described(jax.eval_shape(module.init, jax.random.key(0), images))


@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_variable_of_a_backbone_has_one_torch_tensor(backbone, golden_model):
    imported = weights.from_torch(golden_model(f"backbone_{backbone}").tensors)
    assert described(imported) == own_variables(models.create(backbone))


def test_every_variable_of_the_detector_has_one_torch_tensor(golden_model):
    imported = weights.from_torch(golden_model("caddm_resnet34").tensors)
    assert described(imported) == own_variables(Detector("resnet34"))


def test_a_convolution_goes_from_oihw_to_hwio_and_a_linear_layer_is_transposed():
    conv, linear = np.arange(210.0).reshape(7, 5, 3, 2), np.arange(8.0).reshape(2, 4)
    found = weights.from_torch({"base_model.conv1.weight": conv, "fc.weight": linear})
    kernel = found["params"]["trunk"]["stem_conv"]["kernel"]
    assert kernel[2, 1, 4, 6] == conv[6, 4, 2, 1]
    assert found["params"]["classifier"]["kernel"][3, 1] == linear[1, 3]


def test_the_backbones_own_classifier_and_torchs_counter_have_no_place():
    assert weights.flax_path("base_model.fc.weight", 2) is None
    assert weights.flax_path("base_model.layer1.0.bn1.num_batches_tracked", 0) is None


@pytest.mark.parametrize("name", ["base_model.stem.weight", "adm.head.bias", "fc.extra", "other"])
def test_a_tensor_of_no_such_model_is_refused_by_name(name):
    with pytest.raises(DataError, match=name):
        weights.from_torch({"base_model.conv1.weight": np.zeros((1, 1, 1, 1)), name: np.zeros(3)})


@pytest.mark.parametrize("name", ["caddm_resnet34", "backbone_resnet18"])
def test_the_golden_weights_are_the_references(name, golden_model, weights_rule):
    model = golden_model(name)
    assert weights_rule.digest(model.tensors) == str(model.expected["sha256"])


def test_the_golden_input_is_the_references(weights_rule):
    pixels = np.ascontiguousarray(weights_rule.images().transpose(0, 3, 1, 2))
    assert hashlib.sha256(pixels.tobytes()).hexdigest() == INPUT_DIGEST
