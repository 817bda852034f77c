"""Names and layouts of published PyTorch weights, made into ours (NumPy only)."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from iid_jax.errors import DataError

# The order is important: the ADM's own names first, then what blocks share.
RENAMES = (
    (r"^base_model\.", "trunk."),
    (r"^trunk\.(conv1|bn1)\.", r"trunk.stem_\1."),
    (r"^trunk\._conv_(stem|head)\.", r"trunk.\1_conv."),
    (r"^trunk\._bn0\.", "trunk.stem_bn."),
    (r"^trunk\._bn1\.", "trunk.head_bn."),
    (r"^trunk\._blocks\.(\d+)\._", r"trunk.block\1."),
    (r"^(trunk\.block\d+)\.bn0\.", r"\1.expand_bn."),
    (r"^(trunk\.block\d+)\.bn1\.", r"\1.depthwise_bn."),
    (r"^(trunk\.block\d+)\.bn2\.", r"\1.project_bn."),
    (r"\.stem_conv1\.", ".stem_conv."),
    (r"\.stem_bn1\.", ".stem_bn."),
    (r"\.layer(\d+)\.(\d+)\.", r".stage\1_block\2."),
    (r"^adm\.adm_extra_layers\.3\.downsample\.", "artifact.end.shortcut."),
    (r"^adm\.adm_extra_layers\.3\.", "artifact.end."),
    (r"^adm\.adm_extra_layers\.(\d)\.0\.", r"artifact.block\1."),
    (r"^adm\.multi_scale_detection_module\.ms_dets\.(\d)\.", r"artifact.box\1."),
    (r"^adm\.multi_scale_detection_module\.ms_cls\.(\d)\.", r"artifact.score\1."),
    (r"\.downsample\.0\.", ".shortcut_conv."),
    (r"\.downsample\.1\.", ".shortcut_bn."),
    (r"^fc\.", "classifier."),
)
KNOWN = re.compile(
    r"(trunk\.((stem|head)_(conv|bn)|stage\d+_block\d+\.(conv\d|bn\d|shortcut_(conv|bn)))"
    r"|trunk\.block\d+\.((expand|depthwise|project)_(conv|bn)|se_(reduce|expand))"
    r"|artifact\.(block\d\.(conv\d|bn\d|shortcut_(conv|bn))|end\.(conv\d|shortcut)|(box|score)\d)"
    r"|classifier)\.(weight|bias|running_mean|running_var)"
)
# The backbone's own 1000-way classifier has no place in a detector; the counter is torch's.
UNUSED = re.compile(r"base_model\._?fc\.(weight|bias)|.*\.num_batches_tracked")
STATISTICS = {"running_mean": "mean", "running_var": "var"}


def flax_path(name: str, ndim: int) -> tuple[str, ...] | None:
    """Returns where a tensor of a PyTorch CADDM model lies in ours, None if it has no place.

    ("params", "trunk", "stem_conv", "kernel") for "base_model.conv1.weight".

    Raises:
      DataError: a name that no such model has.
    """
    if UNUSED.fullmatch(name):
        return None
    ours = name
    for pattern, replacement in RENAMES:
        ours = re.sub(pattern, replacement, ours)
    if not KNOWN.fullmatch(ours):
        raise DataError(f"weights: tensor {name!r} is of no CADDM model that is known here")
    *modules, leaf = ours.split(".")
    if leaf in STATISTICS:
        return ("batch_stats", *modules, STATISTICS[leaf])
    if leaf == "weight":
        leaf = "kernel" if ndim > 1 else "scale"
    return ("params", *modules, leaf)


def from_torch(tensors: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Returns Linen variables {"params", "batch_stats"} for a PyTorch state dict, types kept.

    A whole CADDM model (names `base_model.`, `adm.`, `fc.`) gives a Detector's variables, a bare
    torchvision ResNet those of the backbone alone.

    Raises:
      DataError: a tensor that no such model has.
    """
    whole = any(name.startswith("base_model.") for name in tensors)
    variables: dict[str, Any] = {"params": {}, "batch_stats": {}}
    for name, array in tensors.items():
        path = flax_path(name if whole else f"base_model.{name}", array.ndim)
        if path is None:
            continue
        *folders, leaf = path
        node = variables
        for folder in folders:
            node = node.setdefault(folder, {})
        node[leaf] = _layout(array)
    return variables if whole else {kind: tree["trunk"] for kind, tree in variables.items()}


def _layout(array: np.ndarray) -> np.ndarray:
    """Returns a convolution OIHW as HWIO, a linear weight (out, in) as (in, out)."""
    if array.ndim == 4:
        return np.ascontiguousarray(array.transpose(2, 3, 1, 0))
    return np.ascontiguousarray(array.T)
