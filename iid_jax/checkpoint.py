"""A detector from its checkpoint: found, held against its seal, read by Orbax.

A step folder holds the state (Orbax) and `info` (JSON: config, input spec, metric).
When Orbax has finished it, a seal with the sha256 of every file is added: Orbax does not notice
bit rot. A step without a seal was cut off and counts as absent.
"""

import dataclasses
import math
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from iid_jax import config_file
from iid_jax.config import Config
from iid_jax.errors import DataError, UsageError, first_line
from iid_jax.models import InputSpec
from iid_jax.models import detector as detectors
from iid_jax.seal import SEAL, check_seal, read_json, sealed_steps

FOLDER = "checkpoints"
STATE, INFO = "state", "info"
VARIABLES = ("params", "batch_stats")


@dataclasses.dataclass(frozen=True)
class Loaded:
    """A detector ready for use: Linen module, variables (NumPy), input spec, anchors or None.

    `landmarker` is the fingerprint of its training data's, "" where the checkpoint has none.
    """

    module: Any
    variables: dict[str, Any]
    input_spec: InputSpec
    anchors: np.ndarray | None
    config: Config
    step: int
    landmarker: str = ""


def best_step(metrics: dict[int, float | None]) -> int:
    """Returns the step with the highest metric, of equals the latest; None counts least."""
    return max(metrics, key=lambda step: (comparable(metrics[step]), step))


def load_detector(path: str | Path, people: bool = False) -> Loaded:
    """Returns the detector at `path`: a workdir (its best step), a step folder or an export.

    Nothing in the folder is run, and arrays are read only if their shapes are the model's. With
    `people` a classifier of people is taken too.

    Raises:
      DataError: there is none, it is damaged, or it does not fit this version.
    """
    folder = find_step(Path(path))
    check_seal(folder)
    info = read_json(folder / INFO / "metadata")
    try:
        config = config_file.from_dict(_group(info, "config", folder))
        module, _, anchors = detectors.build_detector(config.model)
    except UsageError as error:
        raise DataError(f"{folder}: its configuration does not fit this version: {error}") from None
    if config.model.people and not people:
        raise DataError(
            f"{folder} is a classifier of {config.model.people} people and no detector; train one "
            f"that starts from it with --config.model.init_from={path}"
        )
    spec = InputSpec.from_dict(_group(info, "input_spec", folder))
    if spec.size != config.model.canvas:
        raise DataError(f"{folder}: input of {spec.size} px, canvas of {config.model.canvas} px")
    images = jax.ShapeDtypeStruct((1, spec.size, spec.size, 3), np.float32)
    expected = jax.eval_shape(module.init, jax.random.key(0), images)
    return Loaded(
        module=module,
        variables=_restore_variables(folder, expected),
        input_spec=spec,
        anchors=anchors,
        config=config,
        step=int(info["step"]) if isinstance(info.get("step"), int) else 0,
        landmarker=str(info.get("landmarker") or ""),
    )


def find_step(path: Path) -> Path:
    """Returns the step folder of a workdir, its best by metric, or `path` if it is one.

    Raises:
      DataError: there is none.
    """
    path = path.resolve()
    if path.is_file():
        raise DataError(f"{path} is a file; give a workdir, a step folder or an export")
    if (path / SEAL).exists():
        return path
    if (path / STATE).exists():
        raise DataError(f"{path}: no {SEAL}; it was not saved completely, use another checkpoint")
    for root in (path / FOLDER, path):
        steps = sealed_steps(root)
        if steps:
            return root / str(best_step({step: metric_of(root / str(step)) for step in steps}))
    command = f"python -m iid_jax.main --config=configs/quickstart.py --workdir={path}"
    raise DataError(f"no checkpoint in {path}; train one: {command}")


def _restore_variables(folder: Path, expected: dict[str, Any]) -> dict[str, Any]:
    expected = {name: expected[name] for name in VARIABLES}
    as_numpy = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), expected)
    wanted = ocp.args.PyTreeRestore(item=expected, restore_args=as_numpy, partial_restore=True)
    items = {STATE: ocp.PyTreeCheckpointHandler(), INFO: ocp.JsonCheckpointHandler()}
    try:
        with ocp.Checkpointer(ocp.CompositeCheckpointHandler(**items)) as reader:
            stored = reader.metadata(folder).item_metadata[STATE].tree
            _check_shapes(folder, expected, {name: stored[name] for name in VARIABLES})
            return reader.restore(folder, args=ocp.args.Composite(**{STATE: wanted}))[STATE]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{folder / STATE} cannot be read: {first_line(error)}; use another checkpoint"
        ) from error


def _check_shapes(folder: Path, expected: Any, stored: Any) -> None:
    needed, given = _shapes(expected), _shapes(stored)
    for name in sorted(set(needed) | set(given)):
        if needed.get(name) != given.get(name):
            raise DataError(
                f"{folder}: {name} is {given.get(name, 'absent')}, the model of its configuration "
                f"needs {needed.get(name, 'none')}"
            )


def _shapes(tree: Any) -> dict[str, tuple[Any, ...]]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): (*leaf.shape, str(leaf.dtype))
        for path, leaf in leaves
    }


def metric_of(folder: Path) -> float | None:
    """Returns the metric of a sealed step folder, None where it was saved without one."""
    return read_json(folder / INFO / "metadata").get("metric")


def comparable(metric: Any) -> float:
    """Returns a metric to be compared: -inf for none and for one that is not finite."""
    usable = isinstance(metric, (int, float)) and math.isfinite(metric)
    return float(metric) if usable else -math.inf


def _group(info: dict[str, Any], name: str, folder: Path) -> dict[str, Any]:
    if not isinstance(info.get(name), dict):
        raise DataError(f"{folder / INFO}: {name} must be a group of keys, got {info.get(name)!r}")
    return info[name]
