"""The convolution's gradients on CPU against XLA's own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from iid_jax.models.convolution import Conv, convolve, product_gradients, xla_gradients

# (kernel, stride, side, padding), O = 10: few positions and many, in all branches.
every_case = pytest.mark.parametrize(
    ("kernel", "stride", "side", "padding"),
    [
        (1, 1, 2, ((0, 0), (0, 0))),
        (1, 2, 9, ((0, 0), (0, 0))),
        (3, 1, 3, ((1, 1), (1, 1))),
        (3, 2, 6, ((0, 1), (0, 1))),
        (3, 1, 8, ((0, 0), (2, 1))),
    ],
)


def case(kernel, side, dtype):
    rng = np.random.default_rng(kernel * side)
    maps = jnp.asarray(rng.standard_normal((1, side, side + 1, 6)), dtype)
    return maps, jnp.asarray(rng.standard_normal((kernel, kernel, 6, 10)), dtype)


def assert_close(found, expected, tolerance):
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    found, expected = (np.asarray(array, np.float64) for array in (found, expected))
    assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max()


@every_case
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-14), ("bfloat16", 2e-2)])
def test_products_give_xlas_gradients(kernel, stride, side, padding, dtype, tolerance):
    with jax.enable_x64(dtype == "float64"):
        maps, weights = case(kernel, side, dtype)

        def compared(x, w):
            y, pull = jax.vjp(lambda x, w: convolve(x, w, stride, padding), x, w)
            given = x, w, jnp.cos(y)
            products = product_gradients(*given, stride, padding)
            return pull(given[2]), products, xla_gradients(*given, stride, padding)

        used, products, expected = jax.jit(compared)(maps, weights)
    for found in (used, products):
        for own, theirs in zip(found, expected, strict=True):
            assert_close(own, theirs, tolerance)


def test_the_module_is_a_convolution_with_bias():
    module = Conv(1, 3, stride=2, padding=1, bias=True)
    params = {"kernel": jnp.ones((3, 3, 1, 1)), "bias": jnp.full(1, 0.5)}
    found = module.apply({"params": params}, jnp.arange(16.0).reshape(1, 4, 4, 1))
    np.testing.assert_array_equal(found[0, :, :, 0], [[10.5, 24.5], [51.5, 90.5]])


def test_a_larger_kernel_than_map_is_not_turned_over_on_cpu():
    def gradient(x, w):
        return jax.grad(lambda x: convolve(x, w, 1, ((1, 1), (1, 1))).sum())(x)

    arguments = jnp.ones((1, 3, 3, 8)), jnp.ones((3, 3, 8, 16))
    lowered = {
        p: jax.jit(gradient).trace(*arguments).lower(lowering_platforms=(p,))
        for p in ("cpu", "tpu")
    }
    assert "stablehlo.reverse" not in lowered["cpu"].as_text()
    assert "stablehlo.reverse" in lowered["tpu"].as_text()
