"""Files of weights: .safetensors, and PyTorch's with the [torch] extra; neither can run code."""

import pickle
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from iid_jax.errors import DataError, UsageError, first_line

SAFETENSORS = (".safetensors",)
TORCH = (".pth", ".pt", ".pkl", ".bin", ".ckpt", ".tar")
# Where programs put the state dict in what they save; the first is the published CADDM's.
GROUPS = ("network", "state_dict", "model", "model_state_dict", "net")
# What NumPy has too: floats and, for PyTorch's counters, integers.
_TYPES = {"F64", "F32", "F16", "I64", "I32", "U8", "BOOL"}


class Tensor(NamedTuple):
    """The shape of a tensor, and what reads it as float32; nothing is read before."""

    shape: tuple[int, ...]
    read: Callable[[], np.ndarray]


def open_tensors(path: str | Path) -> dict[str, Tensor]:
    """Returns the tensors of a file by name.

    Raises:
      UsageError: no such file, a kind that is not read, or PyTorch is needed and not installed.
      DataError: the file is damaged, wants to run code, or holds no tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise UsageError(f"{path}: no such file of weights")
    if path.suffix in SAFETENSORS:
        return _safetensors(path)
    if path.suffix in TORCH:
        return _torch(path)
    kinds = " ".join((*SAFETENSORS, *TORCH))
    raise UsageError(f"{path}: weights are read from {kinds}, not from {path.suffix or 'that'!r}")


def _safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            shapes = {name: tuple(part.get_shape()) for name, part in slices.items()}
            types = {name: part.get_dtype() for name, part in slices.items()}
    except (SafetensorError, OSError) as error:
        raise DataError(f"{path} is no complete .safetensors file ({error})") from error
    for name, kind in types.items():
        if kind not in _TYPES:
            raise DataError(f"{path}: tensor {name!r} is of type {kind}; save it as float32")

    def read(name: str) -> np.ndarray:
        with safe_open(path, framework="numpy") as file:
            return file.get_tensor(name).astype(np.float32)

    if not shapes:
        raise DataError(f"{path} holds no tensors")
    return {name: Tensor(shape, lambda name=name: read(name)) for name, shape in shapes.items()}


def _torch(path: Path) -> dict[str, Tensor]:
    try:
        import torch
    except ImportError:
        raise UsageError(
            f"{path}: reading PyTorch's files needs PyTorch: pip install 'iid_jax[torch]', or "
            "save the state dict as .safetensors where PyTorch is"
        ) from None
    try:
        with warnings.catch_warnings(action="ignore"):
            found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise DataError(
            f"{path} wants to run code while it is read ({first_line(error)}); nothing of it was "
            "loaded. Only a file that holds tensors alone is read: where you trust it, save "
            "its state dict as .safetensors"
        ) from None
    except (OSError, RuntimeError, ValueError, EOFError, KeyError, TypeError) as error:
        raise DataError(f"{path} is no complete PyTorch file ({first_line(error)})") from None
    state = _state_dict(found, torch.Tensor)
    if not state:
        raise DataError(f"{path} holds no state dict (a group of named tensors)")
    return {
        name: Tensor(tuple(value.shape), lambda value=value: value.to(torch.float32).numpy())
        for name, value in state.items()
    }


def _state_dict(found: Any, kind: type) -> Mapping[str, Any]:
    """The tensors of what a program saved, alone or beside an optimiser's state."""
    if not isinstance(found, Mapping):
        return {}
    for name in GROUPS:
        if isinstance(found.get(name), Mapping):
            found = found[name]
            break
    return {str(name): value for name, value in found.items() if isinstance(value, kind)}
