"""Batch normalisation against NumPy and against differentiating the plain formula."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from iid_jax.models import norm

SHAPE = (4, 3, 5, 6)  # (B, H, W, C)
EPSILON = 1e-5


@pytest.fixture
def values():
    return np.random.default_rng(0).normal(3.0, 2.0, SHAPE)


def layer(train, x, **options):
    module = norm.BatchNorm(**options)
    variables = {
        "params": {"scale": jnp.full(6, 1.5), "bias": jnp.full(6, -0.5)},
        "batch_stats": {"mean": jnp.full(6, 2.0), "var": jnp.full(6, 9.0)},
    }
    return module.apply(variables, jnp.asarray(x, jnp.float32), train, mutable=["batch_stats"])


def test_training_normalises_by_the_batch_itself(values):
    y, _ = layer(True, values)
    unit = (values - values.mean((0, 1, 2))) / np.sqrt(values.var((0, 1, 2)) + EPSILON)
    np.testing.assert_allclose(y, 1.5 * unit - 0.5, atol=1e-5)


def test_the_running_variance_takes_up_the_unbiased_one(values):
    _, updated = layer(True, values, momentum=0.9)
    rows = values.reshape(-1, SHAPE[-1])
    mean, var = 0.9 * 2.0 + 0.1 * rows.mean(0), 0.9 * 9.0 + 0.1 * rows.var(0, ddof=1)
    np.testing.assert_allclose(updated["batch_stats"]["mean"], mean, rtol=1e-6)
    np.testing.assert_allclose(updated["batch_stats"]["var"], var, rtol=1e-6)


def test_evaluation_uses_the_running_statistics_and_leaves_them(values):
    y, updated = layer(False, values)
    np.testing.assert_allclose(
        y, 1.5 * (values - 2.0) / np.sqrt(9.0 + EPSILON) - 0.5, rtol=1e-5, atol=1e-6
    )
    assert (updated["batch_stats"]["var"] == 9.0).all()


def test_bfloat16_in_gives_bfloat16_out_and_float32_statistics(values):
    x = jnp.asarray(values, jnp.bfloat16)
    variables = norm.BatchNorm().init(jax.random.key(0), x, False)
    y, updated = norm.BatchNorm().apply(variables, x, True, mutable=["batch_stats"])
    assert y.dtype == jnp.bfloat16
    assert updated["batch_stats"]["var"].dtype == jnp.float32
    mean = np.asarray(x, np.float32).mean((0, 1, 2))
    np.testing.assert_allclose(updated["batch_stats"]["mean"], 0.1 * mean, rtol=1e-5)


def test_the_gradient_is_that_of_the_plain_formula(values):
    weight = np.random.default_rng(1).standard_normal(SHAPE)

    def plain(x, scale, bias):
        mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
        return jnp.sum(weight * ((x - mean) / jnp.sqrt(var + EPSILON) * scale + bias))

    def ours(x, scale, bias):
        return jnp.sum(weight * norm.normalise(x, scale, bias, EPSILON)[0])

    with jax.enable_x64(True):
        arguments = (jnp.asarray(values), jnp.linspace(0.5, 2, 6), jnp.linspace(-1, 1, 6))
        expected = jax.jit(jax.grad(plain, (0, 1, 2)))(*arguments)
        found = jax.jit(jax.grad(ours, (0, 1, 2)))(*arguments)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)


def test_both_ways_to_sum_channels_agree_with_float64():
    x = np.random.default_rng(2).normal(3.0, 2.0, (16, 24, 24, 5)).astype(np.float32)
    exact = x.astype(np.float64).sum((0, 1, 2))
    for way in (norm._sum_by_matmul, norm._sum_by_reduction):
        np.testing.assert_allclose(way(jnp.asarray(x)), exact, rtol=1e-5)


SHARDED = """
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from iid_jax.models.norm import BatchNorm

mesh = jax.make_mesh((4,), ("data",), axis_types=(AxisType.Auto,))
x = jnp.asarray(np.random.default_rng(0).normal(3.0, 2.0, (8, 3, 3, 5)), jnp.float32)
x = x + jnp.arange(8.0)[:, None, None, None]
module = BatchNorm()
variables = module.init(jax.random.key(0), x, False)
apply = jax.jit(lambda v, x: module.apply(v, x, True, mutable=["batch_stats"]))
whole, updated = apply(variables, x)
placed = jax.device_put(x, NamedSharding(mesh, PartitionSpec("data")))
parts, parts_updated = apply(variables, placed)
assert len(parts.sharding.device_set) == 4
np.testing.assert_allclose(parts, whole, atol=1e-5)
jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), parts_updated, updated)
"""


def test_statistics_are_those_of_the_global_batch_on_four_devices(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=4")
    run = subprocess.run(
        [sys.executable, "-c", SHARDED], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
