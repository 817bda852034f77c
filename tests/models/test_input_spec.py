"""The input specification: normalisation and its way through JSON."""

import json

import jax.numpy as jnp
import numpy as np
import pytest

from iid_jax.errors import DataError, UsageError
from iid_jax.models.input_spec import InputSpec

PIXELS = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3), np.uint8)


def test_rgb_is_normalised_channel_by_channel_in_grey_levels():
    spec = InputSpec(4, mean=(10.0, 20.0, 30.0), std=(1.0, 2.0, 4.0))
    found = spec.normalise(PIXELS)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[..., 2], (PIXELS[..., 2] - 30.0) / 4.0, rtol=1e-6)
    np.testing.assert_allclose(found[..., 0], PIXELS[..., 0] - 10.0, rtol=1e-6)


def test_mean_and_std_of_bgr_are_in_bgr_order():
    found = InputSpec(4, "BGR", (10.0, 0.0, 0.0), (2.0, 1.0, 1.0)).normalise(PIXELS)
    np.testing.assert_allclose(found[..., 0], (PIXELS[..., 2] - 10.0) / 2.0, rtol=1e-6)


def test_the_references_input_is_bgr_as_it_is():
    spec = InputSpec.reference()
    np.testing.assert_array_equal(spec.normalise(PIXELS), PIXELS[..., ::-1])
    assert (spec.size, spec.face_width, spec.scale) == (224, 80.0, 0.9)


def test_jax_arrays_stay_on_the_device_and_give_the_same():
    found = InputSpec(4).normalise(jnp.asarray(PIXELS))
    assert isinstance(found, jnp.ndarray)
    np.testing.assert_allclose(found, InputSpec(4).normalise(PIXELS), rtol=1e-6)


def test_the_face_keeps_its_share_of_any_canvas():
    assert InputSpec(112).face_width == 40.0
    assert InputSpec(224).face_width == 80.0


@pytest.mark.parametrize("spec", [InputSpec(112), InputSpec.reference()])
def test_it_comes_back_from_json(spec):
    assert InputSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"chanels": "RGB"}, "did you mean 'channels'"),
        ({"channels": "GRB"}, "'GRB'"),
        ({"mean": [1.0]}, "three finite numbers"),
        ({"std": [0.0, 1.0, 1.0]}, "above 0"),
        ({"size": None}, "input spec"),
    ],
)
def test_a_damaged_one_in_a_checkpoint_is_a_data_error(change, message):
    with pytest.raises(DataError, match=message):
        InputSpec.from_dict({**InputSpec(112).to_dict(), **change})


def test_a_missing_key_in_a_checkpoint_is_a_data_error():
    values = InputSpec(112).to_dict()
    values.pop("scale")
    with pytest.raises(DataError, match="'scale' is missing"):
        InputSpec.from_dict(values)


def test_an_impossible_value_is_a_usage_error():
    with pytest.raises(UsageError, match="above 0"):
        InputSpec(0)
