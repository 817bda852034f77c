"""Max pooling: the gradient for CPUs against XLA's own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from iid_jax.models.pool import by_axes, by_xla, max_pool


def pulled(pool, x):
    y, pull = jax.vjp(pool, x)
    return y, pull(jnp.cos(jnp.arange(y.size, dtype=y.dtype)).reshape(y.shape))[0]


@pytest.mark.parametrize("side", [8, 7])
def test_it_gives_xlas_maxima_and_gradients_among_ties_too(side):
    # After a ReLU half of the values are the same.
    x = jnp.maximum(np.random.default_rng(side).integers(-5, 5, (2, side, side + 3, 3)), 0.0)
    assert max_pool(x).shape == (2, (side + 1) // 2, (side + 4) // 2, 3)
    with jax.enable_x64(True):
        x = x.astype(jnp.float64)
        own, axes, theirs = (
            jax.jit(pulled, static_argnums=0)(f, x) for f in (max_pool, by_axes, by_xla)
        )
    for found in (own, axes):
        np.testing.assert_array_equal(found[0], theirs[0])
        np.testing.assert_allclose(found[1], theirs[1], rtol=1e-13)


def test_what_is_not_a_number_stays_in_sight():
    x = jnp.zeros((1, 6, 6, 1)).at[0, 2, 3].set(jnp.nan)
    np.testing.assert_array_equal(jnp.isnan(by_axes(x)), jnp.isnan(by_xla(x)))
    assert jnp.isnan(max_pool(x)).any()
