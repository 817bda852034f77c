"""Published weights made into ours: every tensor has its place, or is named (NumPy only)."""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from iid_jax.models import weight_names
from iid_jax.models.input_spec import InputSpec
from iid_jax.models.weight_names import SCHEMES

Where = tuple[str, ...]
Shape = tuple[int, ...]
STATISTICS = {"running_mean": "mean", "running_var": "var"}
# PyTorch's counter of batches says nothing of the network.
COUNTER = "num_batches_tracked"
# What a backbone has beside its layers: the counter, and the classifier it was trained with.
BESIDE = rf"{COUNTER}$|(^|\.)(_?fc|classifier|last_linear)(\.\d+)?\.(weight|bias)$"
# The stems' first convolutions and the norms behind them, by name.
STEMS = {"stem_conv": "stem_bn", "stem_conv1": "stem_bn1"}


class Placement(NamedTuple):
    """Where the tensors of a file belong.

    `scheme` is a key of `SCHEMES`, `paths` {tensor: path}, such as ("params", "trunk", "stem_conv",
    "kernel"). Listed are the names of tensors that have no place (`unused`), of variables that no
    tensor gives (`missing`) and of tensors of another shape (`misshapen`, with both shapes). The
    unused are `foreign` where they are of a backbone that has more layers than this one.
    """

    scheme: str
    paths: dict[str, Where]
    unused: tuple[str, ...]
    missing: tuple[str, ...]
    misshapen: tuple[str, ...]
    foreign: tuple[str, ...]


def place(shapes: Mapping[str, Shape], expected: Mapping[Where, Shape]) -> Placement:
    """Returns where tensors of a PyTorch state dict, {name: shape}, belong.

    `expected` are a detector's variables, {path: shape}. Of the known schemes the one that places
    most of the tensors is taken.
    """
    found = {scheme: _paths(shapes, scheme) for scheme in SCHEMES}
    scheme = max(found, key=lambda name: sum(p in expected for p in found[name].values()))
    paths, unused, misshapen, foreign = {}, [], [], []
    for name, path in found[scheme].items():
        if path not in expected:
            unused += [name] * (not name.endswith(COUNTER))
            foreign += [name] * (path[1] == "trunk" and not re.search(BESIDE, name))
        elif tuple(shapes[name]) not in _torch_shapes(expected[path]):
            ours, theirs = _torch_shapes(expected[path])[0], tuple(shapes[name])
            misshapen.append(f"{name} is {theirs} instead of {ours}")
        else:
            paths[name] = path
    missing = sorted("/".join(path) for path in set(expected) - set(found[scheme].values()))
    lists = (tuple(names) for names in (unused, missing, misshapen, foreign))
    return Placement(scheme, paths, *lists)


def variables(
    placement: Placement, read: Callable[[str], np.ndarray], expected: Mapping[Where, Shape]
) -> dict[str, Any]:
    """Returns the placed tensors as nested {"params", "batch_stats"}, in our layouts, types kept.

    `read` gives a tensor by its name, in the order of the placement.
    """
    nested: dict[str, Any] = {"params": {}, "batch_stats": {}}
    for name, path in placement.paths.items():
        *folders, leaf = path
        node = nested
        for folder in folders:
            node = node.setdefault(folder, {})
        node[leaf] = _layout(read(name), expected[path])
    return nested


def flax_path(name: str, dimensions: int) -> Where:
    """Returns where a tensor of the published CADDM lies in ours.

    ("params", "trunk", "stem_conv", "kernel") for "base_model.conv1.weight".
    """
    return _path(weight_names.ours([name], weight_names.CADDM)[name], dimensions)


def described(tree: Mapping[str, Any]) -> dict[Where, Shape]:
    """Returns {path: shape} of nested variables, or of their `jax.eval_shape`."""
    found: dict[Where, Shape] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping):
            found |= {(name, *path): shape for path, shape in described(value).items()}
        else:
            found[(name,)] = tuple(value.shape)
    return found


def adapt(trunk: Mapping[str, Any], old: InputSpec, new: InputSpec) -> dict[str, Any]:
    """Returns {"params", "batch_stats"} of a backbone for the input `new`, made for the `old` one.

    The first convolution's channels are turned round where one is RGB and the other BGR, and it
    takes on the other scale; what is added to every grey level goes into the mean of the norm
    behind it. Exact but at the map's border, where padding is 0 in both inputs.
    """
    if (old.channels, old.mean, old.std) == (new.channels, new.mean, new.std):
        return dict(trunk)
    conv = next(name for name in STEMS if name in trunk["params"])
    order = slice(None, None, 1 if old.channels == new.channels else -1)
    kernel = np.asarray(trunk["params"][conv]["kernel"], np.float64)[:, :, order]
    mean, std = np.float64(old.mean)[order], np.float64(old.std)[order]
    added = np.einsum("hwio,i->o", kernel, (np.float64(new.mean) - mean) / std)
    kernel = kernel * (np.float64(new.std) / std)[:, None]
    norm = trunk["batch_stats"][STEMS[conv]]
    return {
        "params": {**trunk["params"], conv: {"kernel": kernel.astype(np.float32)}},
        "batch_stats": {
            **trunk["batch_stats"],
            STEMS[conv]: {**norm, "mean": np.float32(np.asarray(norm["mean"]) - added)},
        },
    }


def _paths(shapes: Mapping[str, Shape], scheme: str) -> dict[str, Where]:
    ours = weight_names.ours(shapes, SCHEMES[scheme])
    return {name: _path(ours[name], len(shapes[name])) for name in shapes}


def _path(ours: str, dimensions: int) -> Where:
    *modules, leaf = ours.split(".")
    if leaf in STATISTICS:
        return ("batch_stats", *modules, STATISTICS[leaf])
    if leaf == "weight":
        leaf = "kernel" if dimensions > 1 else "scale"
    return ("params", *modules, leaf)


def _torch_shapes(shape: Shape) -> list[Shape]:
    """The shapes that PyTorch has for ours: OIHW for HWIO, (out, in) for (in, out)."""
    if len(shape) != 4:
        return [shape[::-1]]
    height, width, before, after = shape
    flat = [(after, before)] if height == width == 1 else []
    return [(after, before, height, width), *flat]


def _layout(array: np.ndarray, shape: Shape) -> np.ndarray:
    if array.ndim == 4:
        return np.ascontiguousarray(array.transpose(2, 3, 1, 0))
    return np.ascontiguousarray(array.T).reshape(shape)
