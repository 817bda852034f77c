"""The optimiser: equal to the reference's first step, and schedules as configured."""

import jax
import numpy as np
import optax
import pytest

from iid_jax.config import OptimConfig
from iid_jax.training import optim


def test_first_step_equals_the_reference_in_float64(golden):
    # golden/optimiser.npz: elements of 12 tensors of the reference's ResNet-34 run (weights, biases
    # and BatchNorm), their gradients and their values after one step, all computed in float64.
    numbers = golden("optimiser")
    tx = optim.optimiser(OptimConfig(schedule="constant"), steps=1)
    with jax.enable_x64(True):
        before = jax.numpy.asarray(numbers["before"])
        updates, _ = tx.update(numbers["gradient"], tx.init(before), before)
        after = np.asarray(optax.apply_updates(before, updates))
    np.testing.assert_allclose(after, numbers["after"], rtol=0, atol=1e-15)


def test_gradient_elements_are_clipped_before_adam_sees_them():
    tx = optim.optimiser(OptimConfig(schedule="constant", clip_value=2.0), steps=1)
    zero, small = np.zeros(2, np.float32), np.array([2.0, -2.0], np.float32)
    _, clipped = tx.update(1e6 * small, tx.init(zero), zero)
    _, expected = tx.update(small, tx.init(zero), zero)
    jax.tree.map(np.testing.assert_array_equal, clipped, expected)


def test_steps_schedule_has_the_papers_rates():
    rate = optim.schedule(OptimConfig(schedule="steps", boundaries=(0.1, 0.2)), steps=100)
    found = [float(rate(step)) for step in (0, 9, 10, 19, 20, 99)]
    np.testing.assert_allclose(found, [3.6e-4, 3.6e-4, 1e-4, 1e-4, 5e-5, 5e-5], rtol=1e-6)


def test_cosine_schedule_falls_to_nothing_at_the_end():
    rate = optim.schedule(OptimConfig(schedule="cosine", learning_rate=1.0), steps=100)
    expected = 0.5 * (1 + np.cos(np.pi * np.array([0, 25, 50, 100]) / 100))
    np.testing.assert_allclose([float(rate(s)) for s in (0, 25, 50, 100)], expected, atol=1e-6)


@pytest.mark.parametrize("name", ["cosine", "steps", "constant"])
def test_warm_up_rises_to_the_full_rate_and_keeps_the_end_where_it_was(name):
    config = OptimConfig(schedule=name, learning_rate=1.0, rates=(0.5,), boundaries=(0.5,))
    plain = optim.schedule(config, steps=100)
    warm = optim.schedule(OptimConfig(**{**vars(config), "warmup_steps": 10}), steps=100)
    rising = [float(warm(step)) for step in range(11)]
    np.testing.assert_allclose(rising, np.linspace(0.1, 1.0, 11), rtol=1e-6)
    assert float(warm(100)) == pytest.approx(float(plain(100)))
    assert (float(warm(49)) > 0.5) == (float(plain(49)) > 0.5)
