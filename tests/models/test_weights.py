"""The names of published PyTorch weights, and the rule that makes the golden ones."""

import hashlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from iid_jax import models
from iid_jax.models import weights
from iid_jax.models.detector import Detector
from iid_jax.models.input_spec import InputSpec

# SHA-256 of the reference's input as (4, 3, 224, 224) uint8 (golden/input.npz).
INPUT_DIGEST = "29188e7262ca4ca98bc01275e48f4d88af729e51c0c976fecbc8f62e5072e50b"
# b0 as its table tells it: blocks, kernel, expansion, channels in and out.
B0 = (
    *((1, 3, 1, 32, 16), (2, 3, 6, 16, 24), (2, 5, 6, 24, 40), (3, 3, 6, 40, 80)),
    *((3, 5, 6, 80, 112), (4, 5, 6, 112, 192), (1, 3, 6, 192, 320)),
)


def expected_by(module):
    """{path: shape} of a detector's or, under the name trunk, a backbone's variables."""
    images = jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32)
    own = weights.described(jax.eval_shape(module.init, jax.random.key(0), images))
    if any("trunk" in path for path in own):
        return own
    return {(kind, "trunk", *path): shape for (kind, *path), shape in own.items()}


def norm(name, width):
    leaves = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.{leaf}": (width,) for leaf in leaves} | {f"{name}.num_batches_tracked": ()}


def blocks_of_b0():
    """(stage, repeat, kernel, expansion, channels in, channels out), as built from the table."""
    for stage, (count, kernel, expansion, before, after) in enumerate(B0):
        for repeat in range(count):
            yield stage, repeat, kernel, expansion, before if repeat == 0 else after, after


def timm_b0():
    """The tensors of timm's efficientnet_b0, {name: shape}."""
    made = {"conv_stem.weight": (32, 3, 3, 3), "conv_head.weight": (1280, 320, 1, 1)}
    made |= norm("bn1", 32) | norm("bn2", 1280)
    made |= {"classifier.weight": (1000, 1280), "classifier.bias": (1000,)}
    for stage, repeat, kernel, expansion, before, after in blocks_of_b0():
        name, inner, squeezed = f"blocks.{stage}.{repeat}", before * expansion, before // 4
        made |= {
            f"{name}.conv_dw.weight": (inner, 1, kernel, kernel),
            f"{name}.se.conv_reduce.weight": (squeezed, inner, 1, 1),
            f"{name}.se.conv_reduce.bias": (squeezed,),
            f"{name}.se.conv_expand.weight": (inner, squeezed, 1, 1),
            f"{name}.se.conv_expand.bias": (inner,),
        }
        if expansion == 1:
            made |= {f"{name}.conv_pw.weight": (after, inner, 1, 1)}
            made |= norm(f"{name}.bn1", inner) | norm(f"{name}.bn2", after)
        else:
            made |= {f"{name}.conv_pw.weight": (inner, before, 1, 1)}
            made |= {f"{name}.conv_pwl.weight": (after, inner, 1, 1)}
            made |= norm(f"{name}.bn1", inner) | norm(f"{name}.bn2", inner)
            made |= norm(f"{name}.bn3", after)
    return made


def torchvision_b0():
    """The tensors of torchvision's efficientnet_b0, {name: shape}."""
    made = {"features.0.0.weight": (32, 3, 3, 3), "features.8.0.weight": (1280, 320, 1, 1)}
    made |= norm("features.0.1", 32) | norm("features.8.1", 1280)
    made |= {"classifier.1.weight": (1000, 1280), "classifier.1.bias": (1000,)}
    for stage, repeat, kernel, expansion, before, after in blocks_of_b0():
        name, inner, squeezed = (
            f"features.{stage + 1}.{repeat}.block",
            before * expansion,
            before // 4,
        )
        place = 0
        if expansion > 1:
            made |= {f"{name}.0.0.weight": (inner, before, 1, 1)} | norm(f"{name}.0.1", inner)
            place = 1
        made |= {f"{name}.{place}.0.weight": (inner, 1, kernel, kernel)}
        made |= norm(f"{name}.{place}.1", inner)
        for layer, shape in (("fc1", (squeezed, inner)), ("fc2", (inner, squeezed))):
            made |= {f"{name}.{place + 1}.{layer}.weight": (*shape, 1, 1)}
            made |= {f"{name}.{place + 1}.{layer}.bias": (shape[0],)}
        made |= {f"{name}.{place + 2}.0.weight": (after, inner, 1, 1)}
        made |= norm(f"{name}.{place + 2}.1", after)
    return made


def xception(flat):
    """The tensors of the common Xception file; `flat`: pointwise weights are 2-D."""
    one = () if flat else (1, 1)
    made = {"conv1.weight": (32, 3, 3, 3), "conv2.weight": (64, 32, 3, 3)}
    made |= norm("bn1", 32) | norm("bn2", 64) | {"fc.weight": (1000, 2048), "fc.bias": (1000,)}

    def separable(name, before, after):
        return {
            f"{name}.conv1.weight": (before, 1, 3, 3),
            f"{name}.pointwise.weight": (after, before, *one),
        }

    rows = [(64, (128, 128)), (128, (256, 256)), (256, (728, 728))]
    rows += [(728, (728, 728, 728))] * 8 + [(728, (728, 1024))]
    for number, (before, widths) in enumerate(rows, 1):
        inner = before
        for layer, width in enumerate(widths):
            place = 3 * layer + (number > 1)
            made |= separable(f"block{number}.rep.{place}", inner, width)
            made |= norm(f"block{number}.rep.{place + 1}", width)
            inner = width
        if inner != before:
            made |= {f"block{number}.skip.weight": (inner, before, 1, 1)}
            made |= norm(f"block{number}.skipbn", inner)
    made |= separable("conv3", 1024, 1536) | norm("bn3", 1536)
    return made | separable("conv4", 1536, 2048) | norm("bn4", 2048)


FILES = {
    "timm's EfficientNet": ("efficientnet_b0", timm_b0, "classifier."),
    "torchvision's EfficientNet": ("efficientnet_b0", torchvision_b0, "classifier.1."),
    "the common Xception's": ("xception", lambda: xception(flat=False), "fc."),
}


@pytest.mark.parametrize("scheme", FILES)
def test_every_tensor_of_a_published_file_has_its_place(scheme):
    backbone, shapes, head = FILES[scheme]
    found = weights.place(shapes(), expected_by(models.create(backbone)))
    assert found.scheme == scheme
    assert not found.missing
    assert not found.misshapen
    assert sorted(found.unused) == [f"{head}bias", f"{head}weight"]
    assert not found.foreign


def test_pointwise_weights_may_be_two_dimensional():
    expected = expected_by(models.create("xception"))
    found = weights.place({f"module.{k}": v for k, v in xception(flat=True).items()}, expected)
    assert not found.missing
    assert not found.misshapen
    name, path = (
        "module.conv4.pointwise.weight",
        ("params", "trunk", "head2", "pointwise", "kernel"),
    )
    assert found.paths[name] == path
    matrix = np.arange(2048.0 * 1536).reshape(2048, 1536)
    one = found._replace(paths={name: path})
    kernel = weights.variables(one, lambda _: matrix, expected)["params"]["trunk"]["head2"]
    np.testing.assert_array_equal(kernel["pointwise"]["kernel"][0, 0], matrix.T)


@pytest.mark.parametrize("backbone", ["resnet18", "resnet34", "resnet50"])
def test_every_variable_of_a_backbone_has_one_torch_tensor(backbone, golden_model):
    tensors = golden_model(f"backbone_{backbone}").tensors
    shapes = {name: array.shape for name, array in tensors.items()}
    found = weights.place(shapes, expected_by(models.create(backbone)))
    assert not found.missing
    assert not found.misshapen
    assert sorted(found.unused) == ["fc.bias", "fc.weight"]
    assert not found.foreign


@pytest.mark.parametrize("backbone", ["resnet34", "efficientnet_b3", "efficientnet_b4"])
def test_every_variable_of_the_detector_has_one_torch_tensor(backbone, golden):
    spec = golden(f"model_caddm_{backbone.replace('_b', '-b')}")
    sides = [tuple(int(s) for s in row if s) for row in spec["tensor_shapes"]]
    found = weights.place(
        dict(zip(map(str, spec["tensor_names"]), sides, strict=True)),
        expected_by(Detector(backbone)),
    )
    assert not found.missing
    assert not found.misshapen
    assert len(found.unused) == 2 and all("fc." in name for name in found.unused)


def test_what_is_left_over_missing_or_of_another_shape_is_named():
    expected = {("params", "trunk", "stem_conv", "kernel"): (7, 7, 3, 64)}
    expected[("params", "trunk", "stem_bn", "scale")] = (64,)
    found = weights.place({"conv1.weight": (64, 1, 7, 7), "head.weight": (2, 64)}, expected)
    assert found.misshapen == ("conv1.weight is (64, 1, 7, 7) instead of (64, 3, 7, 7)",)
    assert found.unused == found.foreign == ("head.weight",)
    assert found.missing == ("params/trunk/stem_bn/scale",)
    assert found.paths == {}


def test_a_convolution_goes_from_oihw_to_hwio_and_a_linear_layer_is_transposed():
    arrays = {
        "base_model.conv1.weight": np.arange(210.0).reshape(7, 5, 3, 2),
        "fc.weight": np.arange(8.0).reshape(2, 4),
    }
    expected = {
        ("params", "trunk", "stem_conv", "kernel"): (3, 2, 5, 7),
        ("params", "classifier", "kernel"): (4, 2),
    }
    placed = weights.place({name: array.shape for name, array in arrays.items()}, expected)
    found = weights.variables(placed, arrays.__getitem__, expected)["params"]
    kernel = found["trunk"]["stem_conv"]["kernel"]
    assert kernel[2, 1, 4, 6] == arrays["base_model.conv1.weight"][6, 4, 2, 1]
    assert found["classifier"]["kernel"][3, 1] == arrays["fc.weight"][1, 3]


SPECS = {
    "the reference's": InputSpec.reference(),
    "channels turned": InputSpec(224, "BGR"),
    "Xception's": InputSpec(224, "RGB", (127.5,) * 3, (127.5,) * 3),
}


@pytest.mark.parametrize("old", SPECS)
def test_a_backbone_adapted_to_another_input_sees_the_same(old):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (2, 16, 16, 3), np.uint8)
    old, new = SPECS[old], InputSpec(224)
    trunk = {
        "params": {"stem_conv": {"kernel": rng.standard_normal((3, 3, 3, 8)).astype(np.float32)}},
        "batch_stats": {"stem_bn": {"mean": rng.standard_normal(8).astype(np.float32)}},
    }

    def inner(trunk, spec):
        """What the norm sees less its mean, of the pixels that no padding reaches."""
        patches = np.lib.stride_tricks.sliding_window_view(spec.normalise(pixels), (3, 3), (1, 2))
        kernel = trunk["params"]["stem_conv"]["kernel"].astype(np.float64)
        seen = np.einsum("bhwcij,ijco->bhwo", patches.astype(np.float64), kernel)
        return seen - trunk["batch_stats"]["stem_bn"]["mean"]

    wanted = inner(trunk, old)
    found = inner(weights.adapt(trunk, old, new), new)
    np.testing.assert_allclose(found, wanted, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("name", ["caddm_resnet34", "backbone_resnet18"])
def test_the_golden_weights_are_the_references(name, golden_model, weights_rule):
    model = golden_model(name)
    assert weights_rule.digest(model.tensors) == str(model.expected["sha256"])


def test_the_golden_input_is_the_references(weights_rule):
    pixels = np.ascontiguousarray(weights_rule.images().transpose(0, 3, 1, 2))
    assert hashlib.sha256(pixels.tobytes()).hexdigest() == INPUT_DIGEST
