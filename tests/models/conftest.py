"""Golden models: the reference's weights, input and outputs."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from iid_jax.models import weights


class GoldenModel(NamedTuple):
    """`tensors` by PyTorch name, `images` (4, 224, 224, 3) uint8 BGR, `expected` outputs."""

    tensors: dict[str, np.ndarray]
    images: np.ndarray
    expected: dict[str, Any]


@pytest.fixture(scope="session")
def golden_model(golden, weights_rule):
    """Makes a golden model by name: `golden_model("caddm_resnet34")`."""

    def make(name: str) -> GoldenModel:
        expected = golden(f"model_{name}")
        return GoldenModel(weights_rule.tensors(expected), weights_rule.images(), expected)

    return make


@pytest.fixture(scope="session")
def from_torch():
    """Makes a PyTorch state dict, NumPy arrays by name, a module's variables: none may be left."""

    def make(module: Any, tensors: dict[str, np.ndarray]) -> dict[str, Any]:
        images = jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32)
        own = weights.described(jax.eval_shape(module.init, jax.random.key(0), images))
        bare = not any("trunk" in path for path in own)
        expected = {(kind, "trunk", *path): shape for (kind, *path), shape in own.items()}
        expected = expected if bare else own
        placed = weights.place({name: a.shape for name, a in tensors.items()}, expected)
        assert not placed.missing
        assert not placed.misshapen
        made = weights.variables(placed, tensors.__getitem__, expected)
        return {kind: tree["trunk"] for kind, tree in made.items()} if bare else made

    return make
