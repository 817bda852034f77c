"""EfficientNet's own: its padding, its widths, and what is dropped in training."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from iid_jax.models.efficientnet import Block, same_padding, scaled_width
from iid_jax.models.norm import BatchNorm


@pytest.mark.parametrize(
    ("side", "kernel", "stride", "expected"),
    [
        (224, 3, 2, (0, 1)),
        (75, 3, 2, (1, 1)),
        (56, 5, 2, (1, 2)),
        (28, 5, 1, (2, 2)),
        (7, 3, 1, (1, 1)),
    ],
)
def test_padding_is_tensorflows(side, kernel, stride, expected):
    assert same_padding((side, side), kernel, stride) == (expected, expected)


def test_widths_are_multiples_of_eight_and_at_most_a_tenth_too_few():
    assert [scaled_width(16, f) for f in (1.0, 1.2, 1.4)] == [16, 24, 24]
    for factor in np.linspace(1.0, 2.0, 21):
        for width in (16, 24, 40, 80, 112, 192, 320, 1280):
            found = scaled_width(width, factor)
            assert found % 8 == 0 and found >= 0.9 * width * factor


def block(drop, x, train, key=0):
    module = Block(4, 3, 1, 1, drop, BatchNorm, jnp.float32)
    variables = module.init(jax.random.key(3), x, False)
    rngs = {"dropout": jax.random.key(key)}
    if not train:
        return module.apply(variables, x, False)
    return module.apply(variables, x, True, mutable=["batch_stats"], rngs=rngs)[0]


def test_drop_connect_leaves_whole_images_branches_out_and_scales_the_others():
    x = jnp.asarray(np.random.default_rng(0).standard_normal((400, 4, 4, 4)), jnp.float32)
    kept, dropped = block(0.0, x, train=True), block(0.25, x, train=True)
    branch, found = np.asarray(kept - x), np.asarray(dropped - x)
    left_out = (found == 0).all(axis=(1, 2, 3))
    assert 0.17 < left_out.mean() < 0.33
    np.testing.assert_allclose(found[~left_out], branch[~left_out] / 0.75, rtol=1e-4, atol=1e-5)
    assert not np.array_equal(dropped, block(0.25, x, train=True, key=1))


def test_nothing_is_dropped_outside_training():
    x = jnp.ones((2, 4, 4, 4))
    np.testing.assert_array_equal(block(0.9, x, train=False), block(0.0, x, train=False))
