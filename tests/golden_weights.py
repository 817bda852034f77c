"""The weights and the input behind the golden model outputs, made from their names (NumPy alone).

The outputs in golden/model_*.npz are those of the reference PyTorch implementation in float64,
run with exactly these weights on exactly this input.
"""

import hashlib
import math

import numpy as np

STEM_NORMS = ("bn1", "base_model.bn1", "_bn0", "base_model._bn0")
STEM_SPREAD = 200.0  # the input is 0 to 255, so the stem's statistics are of that order
ADM_GAIN, CLASSIFIER_GAIN = 0.7, 0.15


def generator(text: str) -> np.random.Generator:
    """Returns the generator seeded with the first 8 bytes, big-endian, of the text's SHA-256."""
    return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big"))


def tensors(spec: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns {PyTorch name: array} for the names, shapes and gain in a golden/model_*.npz."""
    names = [str(name) for name in spec["tensor_names"]]
    whole = any(name.startswith("base_model.") for name in names)
    made = {}
    for name, padded in zip(names, spec["tensor_shapes"], strict=True):
        shape = tuple(int(side) for side in padded if side)
        made[name] = _tensor(name, shape, _gain(name, float(spec["gain"]), whole))
    return made


def digest(made: dict[str, np.ndarray]) -> str:
    """Returns the SHA-256 of all values, in order, to hold against the spec's."""
    total = hashlib.sha256()
    for array in made.values():
        total.update(array.tobytes())
    return total.hexdigest()


def images() -> np.ndarray:
    """Returns the input: (4, 224, 224, 3) uint8 BGR, smooth colours with noise at three scales."""
    rng = generator("input")
    total = np.full((4, 3, 224, 224), 115.0)
    for strength, side in ((45.0, 7), (25.0, 28), (12.0, 224)):
        noise = strength * rng.standard_normal((4, 3, side, side))
        total += noise.repeat(224 // side, axis=2).repeat(224 // side, axis=3)
    pixels = np.clip(np.rint(total), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(pixels.transpose(0, 2, 3, 1))


def _gain(name: str, family: float, whole: bool) -> float:
    if name.startswith("adm."):
        return ADM_GAIN
    return CLASSIFIER_GAIN if whole and name == "fc.weight" else family


def _tensor(name: str, shape: tuple[int, ...], gain: float) -> np.ndarray:
    module, leaf = name.rsplit(".", 1)
    if leaf == "num_batches_tracked":
        return np.zeros(shape, np.int64)
    z = generator(name).standard_normal(shape)
    spread = STEM_SPREAD if module in STEM_NORMS else 1.0
    if leaf == "running_mean":
        value = 0.1 * z * spread
    elif leaf == "running_var":
        value = np.exp(0.1 * z) * spread**2
    elif leaf == "bias":
        value = 0.1 * z
    elif len(shape) == 1:
        value = 1.0 + 0.1 * z
    else:
        value = z * (gain * math.sqrt(2.0 / math.prod(shape[1:])))
    return value.astype(np.float32)
