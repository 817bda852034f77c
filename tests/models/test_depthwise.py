"""The depthwise convolution: the sum of shifts against XLA's own, in values and gradients."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from iid_jax.models.depthwise import DepthwiseConv, by_shifts, by_xla, depthwise
from iid_jax.models.efficientnet import same_padding

every_case = pytest.mark.parametrize(
    ("kernel", "stride", "side"),
    [(3, 1, 9), (3, 2, 10), (5, 1, 8), (5, 2, 11)],
)


def case(kernel, side, dtype):
    rng = np.random.default_rng(kernel * side)
    maps = jnp.asarray(rng.standard_normal((2, side, side + 2, 6)), dtype)
    return maps, jnp.asarray(rng.standard_normal((kernel, kernel, 1, 6)), dtype)


def assert_close(found, expected, tolerance):
    assert found.dtype == expected.dtype and found.shape == expected.shape
    found, expected = (np.asarray(array, np.float64) for array in (found, expected))
    assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max()


@every_case
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-14), ("bfloat16", 1e-2)])
def test_shifts_give_what_xla_gives(kernel, stride, side, dtype, tolerance):
    with jax.enable_x64(dtype == "float64"):
        maps, weights = case(kernel, side, dtype)
        padding = same_padding(maps.shape[1:3], kernel, stride)
        own, theirs = (
            jax.value_and_grad(lambda x, w, f=f: jnp.square(f(x, w, stride, padding)).sum(), (0, 1))
            for f in (depthwise, by_xla)
        )
        assert_close(
            by_shifts(maps, weights, stride, padding),
            by_xla(maps, weights, stride, padding),
            tolerance,
        )
        for found, expected in zip(
            jax.tree.leaves(jax.jit(own)(maps, weights)),
            jax.tree.leaves(jax.jit(theirs)(maps, weights)),
            strict=True,
        ):
            assert_close(found, expected, 3 * tolerance)


def test_gradients_are_those_of_finite_differences():
    with jax.enable_x64(True):
        maps, weights = case(3, 7, jnp.float64)
        convolve = partial(depthwise, stride=2, padding=((1, 0), (0, 1)))
        check_grads(convolve, (maps, weights), order=1, modes=["rev"], rtol=1e-6)


def test_the_module_pads_as_it_is_told():
    module = DepthwiseConv(3, 2, ((0, 1), (1, 0)))
    variables = {"params": {"kernel": jnp.ones((3, 3, 1, 1))}}
    found = module.apply(variables, jnp.arange(16.0).reshape(1, 4, 4, 1))
    np.testing.assert_array_equal(found[0, :, :, 0], [[27.0, 54.0], [42.0, 72.0]])
