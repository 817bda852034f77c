"""Why a face has its score: what each place of the canvas adds to the classifier's logit."""

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np


class Contributions:
    """The class activation map of a detector (Zhou et al. 2016, arXiv:1512.04150).

    The classifier is linear in the mean over the backbone's map, so that the logit (fake minus
    real) is the mean of the cells' contributions, plus what the ADM's vector and the bias add.
    """

    def __init__(self, module: Any, spec: Any, variables: Mapping[str, Any]):
        import jax

        from iid_jax.models.xla import compiler_options

        self._variables, self._size = variables, spec.size
        self._cells = jax.jit(_cells(module, spec), compiler_options=compiler_options())

    def cells(self, image: np.ndarray) -> np.ndarray:
        """Returns the contributions of the map's cells, float32 (f, f), for a canvas (S, S, 3)."""
        return np.asarray(self._cells(self._variables, image[None])[0])

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Returns the contributions on the canvas, float32 (S, S), interpolated between cells."""
        size = (self._size, self._size)
        return cv2.resize(self.cells(image), size, interpolation=cv2.INTER_LINEAR)


def _cells(module: Any, spec: Any) -> Any:
    import jax.numpy as jnp

    def cells(variables, images):
        found = module.apply(variables, spec.normalise(images)).features["map"]
        kernel = variables["params"]["classifier"]["kernel"]
        return found.astype(jnp.float32) @ (kernel[:, 1] - kernel[:, 0]).astype(jnp.float32)

    return cells
