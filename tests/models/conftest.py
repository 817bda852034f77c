"""Golden models: the reference's weights, input and outputs."""

import importlib.util
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest


class GoldenModel(NamedTuple):
    """`tensors` by PyTorch name, `images` (4, 224, 224, 3) uint8 BGR, `expected` outputs."""

    tensors: dict[str, np.ndarray]
    images: np.ndarray
    expected: dict[str, Any]


@pytest.fixture(scope="session")
def weights_rule():
    """The module tests/golden_weights.py (test folders are no packages: loaded by its path)."""
    path = Path(__file__).parents[1] / "golden_weights.py"
    spec = importlib.util.spec_from_file_location("golden_weights", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def golden_model(golden, weights_rule):
    """Makes a golden model by name: `golden_model("caddm_resnet34")`."""

    def make(name: str) -> GoldenModel:
        expected = golden(f"model_{name}")
        return GoldenModel(weights_rule.tensors(expected), weights_rule.images(), expected)

    return make
