"""What every registered backbone must do; a new one is tested without an edit here."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from iid_jax import models
from iid_jax.models.initial import initialise
from iid_jax.models.input_spec import InputSpec
from iid_jax.models.xla import compiler_options

NAMES = models.names()
SMALL_SIDE = 64  # px; what the executed tests use
QUICK = 1_000_000  # parameters; compiling the gradient of a larger network takes over 10 s

every_backbone = pytest.mark.parametrize("name", NAMES)


def executed(most):
    """Every backbone, those of more than `most` parameters among the long tests."""
    large = [name for name in NAMES if models.entry(name).parameters > most]
    marked = [pytest.param(n, marks=pytest.mark.long) if n in large else n for n in NAMES]
    return pytest.mark.parametrize("name", marked)


@functools.cache
def abstract(name, side, dtype=jnp.float32):
    """(variables, (map, features)) of a backbone as shapes and types, nothing computed."""
    module = models.create(name, dtype=dtype)
    images = jax.ShapeDtypeStruct((2, side, side, 3), jnp.float32)
    variables = jax.eval_shape(module.init, jax.random.key(0), images)
    return variables, jax.eval_shape(module.apply, variables, images)


@every_backbone
@pytest.mark.parametrize("larger", [0, 2])
def test_the_map_is_the_canvas_over_the_stride(name, larger):
    module, canvas = models.create(name), models.entry(name).canvas
    side = canvas // module.stride + larger
    _, (found, features) = abstract(name, side * module.stride)
    assert found.shape == (2, side, side, module.feature_width)
    assert all(value.ndim == 4 for value in features.values())
    assert found.shape in [value.shape for value in features.values()]


@every_backbone
def test_the_parameter_count_is_the_published_one(name):
    variables, _ = abstract(name, models.entry(name).canvas)
    count = sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
    assert count == models.entry(name).parameters


@every_backbone
def test_in_bfloat16_features_are_bfloat16_and_variables_float32(name):
    variables, (found, features) = abstract(name, SMALL_SIDE, jnp.bfloat16)
    assert {value.dtype for value in (found, *features.values())} == {jnp.dtype(jnp.bfloat16)}
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype(jnp.float32)}


@functools.cache
def train_step(name, dtype):
    """(map, features, gradients, updated statistics) of one small batch in training mode."""
    module = models.create(name, dtype=dtype)
    variables = initialise(module, InputSpec(SMALL_SIDE), seed=0)
    shape = (4, SMALL_SIDE, SMALL_SIDE, 3)
    images = jnp.asarray(np.random.default_rng(0).standard_normal(shape), jnp.float32)

    def loss(params, stats):
        inputs = {"params": params, "batch_stats": stats}
        outputs, updated = module.apply(
            inputs, images, train=True, mutable=["batch_stats"], rngs={"dropout": jax.random.key(1)}
        )
        return jnp.square(outputs[0].astype(jnp.float32)).mean(), (outputs, updated)

    step = jax.jit(jax.grad(loss, has_aux=True), compiler_options=compiler_options())
    gradients, ((found, features), updated) = step(variables["params"], variables["batch_stats"])
    return found, features, gradients, updated


@executed(QUICK)
def test_forward_and_backward_are_finite_and_reach_every_parameter(name):
    found, features, gradients, updated = train_step(name, jnp.float32)
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves((found, features, updated)))
    for path, gradient in jax.tree_util.tree_leaves_with_path(gradients):
        assert jnp.isfinite(gradient).all(), path
        assert jnp.any(gradient != 0), path


@executed(QUICK)
def test_bfloat16_forward_and_backward_are_finite(name):
    found, _, gradients, updated = train_step(name, jnp.bfloat16)
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves((found, gradients, updated)))
