"""Fresh variables: kernels are drawn from N(0, 2 / fan_in), all the rest is constant.

The kernels of the heads (classifier, boxes, box scores) are a tenth of that: a fresh detector is
near "don't know" instead of confidently wrong, which small batches take long to undo. Those that
read the picture sum to zero over their window, so that a fresh detector looks at texture: flat
colour, which a manipulation hardly changes, would outweigh it. (The kernels of Bayar & Stamm 2016,
doi:10.1145/2909827.2930786, which find edited pictures, are kept so; these are only drawn so.)
"""

import hashlib
import math
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from iid_jax.models.input_spec import InputSpec

# He et al. 2015 (arXiv:1502.01852), equation 10; the modules' own initialisers, as drawn below.
he_init = nn.initializers.variance_scaling(2.0, "fan_in", "normal")
HEAD_GAIN = 0.1
head_init = nn.initializers.variance_scaling(2.0 * HEAD_GAIN**2, "fan_in", "normal")
# Names of the layers that are given `head_init`; those of a group are numbered.
HEADS = ("classifier", "box", "score")
COLOURS = 3
CONSTANTS = {"scale": 1.0, "bias": 0.0, "mean": 0.0, "var": 1.0}
# Values that are still in a core's cache when they are scaled, and the alignment in bytes of memory
# that JAX takes over on CPU instead of copying it.
CHUNK, ALIGNMENT = 1 << 16, 64


def initialise(module: nn.Module, spec: InputSpec, seed: int) -> dict[str, Any]:
    """Returns fresh float32 variables {"params", "batch_stats"} on the default device.

    They are drawn on the host, each from its own name: compiling the draws of `module.init` takes
    5 to 20 s on CPU, this less than one. A seed gives the same values on every device, and a
    detector and the plain classifier start from the same backbone.
    """
    images = jax.ShapeDtypeStruct((1, spec.size, spec.size, 3), jnp.float32)
    shapes = jax.eval_shape(module.init, jax.random.key(0), images)
    leaves, tree = jax.tree_util.tree_flatten_with_path(shapes)
    # NumPy draws without Python's lock: as many at once as there are cores.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        fresh = pool.map(lambda leaf: _fresh(leaf[0], leaf[1].shape, seed), leaves)
        placed = [jax.device_put(leaf, may_alias=True) for leaf in fresh]
    return jax.tree_util.tree_unflatten(tree, placed)


def _fresh(path: tuple[Any, ...], shape: tuple[int, ...], seed: int) -> np.ndarray:
    names = [entry.key for entry in path]
    if names[-1] != "kernel":
        return np.full(shape, CONSTANTS[names[-1]], np.float32)
    digest = hashlib.sha256("/".join(names).encode()).digest()
    rng = np.random.default_rng([seed, int.from_bytes(digest[:8], "big")])
    deviation = math.sqrt(2.0 / math.prod(shape[:-1]))
    if names[-2].rstrip("0123456789") in HEADS:
        deviation *= HEAD_GAIN
    kernel = _aligned(math.prod(shape))
    for start in range(0, kernel.size, CHUNK):
        part = kernel[start : start + CHUNK]
        rng.standard_normal(dtype=np.float32, out=part)
        part *= np.float32(deviation)
    kernel = kernel.reshape(shape)
    if len(shape) == 4 and shape[0] > 1 and shape[2] == COLOURS:
        _level(kernel)
    return kernel


def _level(kernel: np.ndarray) -> None:
    """Takes the mean over its window from a kernel (k, k, I, O), in place; its variance stays."""
    count = kernel.shape[0] * kernel.shape[1]
    kernel -= kernel.mean((0, 1), keepdims=True)
    kernel *= np.float32(math.sqrt(count / (count - 1)))


def _aligned(size: int) -> np.ndarray:
    raw = np.empty(4 * size + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + 4 * size].view(np.float32)
