"""All durability: saving, sealing, resuming and loading, on Orbax.

A step folder holds the state (Orbax) and `info` (JSON: config, input spec, data position, metric).
When Orbax has finished it, a seal with the sha256 of every file is added: Orbax does not notice
bit rot. A step without a seal was cut off and counts as absent.
"""

import contextlib
import dataclasses
import errno
import logging
import math
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils
from orbax.checkpoint import checkpoint_managers as policies

from iid_jax import config_file
from iid_jax.config import Config
from iid_jax.errors import DataError, UsageError
from iid_jax.models import InputSpec
from iid_jax.models import detector as detectors
from iid_jax.seal import SEAL, check_seal, read_json, seal, sealed_steps

FOLDER = "checkpoints"
STATE, INFO = "state", "info"
VARIABLES = ("params", "batch_stats")
# What is wrong with the disk stands deep in TensorStore's messages.
_SYSTEM_ERROR = re.compile(r"os_error_code='(\d+)'")
_ORBAX = str(Path(ocp.__file__).parent)
_STEP_FOLDER = re.compile(r"^\d+(\.orbax-checkpoint-tmp.*)?$")


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


class Checkpoints:
    """The checkpoints of a workdir; saving goes on while training does.

    Kept are the newest `keep` and the one with the highest metric (of equals the later). An older
    one goes only after the newer one is sealed, so that a kill never leaves less than there was.
    Attribute `removed`: names of folders that a kill had left incomplete.
    """

    def __init__(self, workdir: Path, keep: int = 2):
        logging.getLogger("absl").addFilter(_is_not_told_twice)
        self.folder = Path(workdir).resolve() / FOLDER
        self.keep = keep
        self.removed = _remove_incomplete(self.folder) if jax.process_index() == 0 else []
        _meet("incomplete checkpoints removed")
        self._metrics = {s: _metric(self.folder / str(s)) for s in sealed_steps(self.folder)}
        self._unsealed: dict[int, float | None] = {}
        # What goes is decided here: Orbax would delete before the seal is there.
        options = ocp.CheckpointManagerOptions(preservation_policy=policies.LatestN(None))
        self._manager = ocp.CheckpointManager(self.folder, options=options)

    def steps(self) -> list[int]:
        """Returns the steps that are complete, ascending."""
        return sorted(self._metrics)

    def is_best(self, metric: float) -> bool:
        """Returns whether no kept checkpoint has a higher metric."""
        known = [*self._metrics.values(), *self._unsealed.values()]
        return all(metric >= _comparable(other) for other in known)

    def save(self, step: int, state: Any, info: dict[str, Any], metric: float | None) -> None:
        """Starts to save a step once; `info` must be JSON. Finished earlier saves are sealed.

        Raises:
          DataError: this or the earlier save cannot be written; the steps before are whole.
        """
        self.wait()
        if step in self._metrics:
            return
        info = {**info, "step": step, "metric": metric}
        items = {STATE: ocp.args.StandardSave(state), INFO: ocp.args.JsonSave(info)}
        with self._told(step):
            self._check_room(state)
            self._manager.save(step, args=ocp.args.Composite(**items), force=True)
        self._unsealed[step] = metric

    def poll(self) -> None:
        """Seals what has been written since, without waiting; with several processes at `save`."""
        if jax.process_count() == 1 and not self._manager.is_saving_in_progress():
            self.wait()

    def wait(self) -> None:
        """Waits for the save under way, seals it and removes what need not be kept.

        Raises:
          DataError: it cannot be written; the steps before are whole.
        """
        # Taken out first: one that failed is not waited for again when the run ends.
        saved, self._unsealed = self._unsealed, {}
        with self._told(*saved):
            self._manager.wait_until_finished()
            for step, metric in saved.items():
                if jax.process_index() == 0:
                    seal(self.folder / str(step))
                self._metrics[step] = metric
        if saved:
            _meet("checkpoint sealed")
            self._remove_old()

    def restore(self, step: int, like: Any) -> tuple[Any, dict[str, Any]]:
        """Returns (state, info) of a step; `like` gives the shapes, types and shardings.

        Raises:
          DataError: a file differs from its seal.
        """
        check_seal(self.folder / str(step))
        items = {STATE: ocp.args.StandardRestore(like), INFO: ocp.args.JsonRestore()}
        restored = self._manager.restore(step, args=ocp.args.Composite(**items))
        return restored[STATE], restored[INFO]

    def close(self) -> None:
        """Finishes the save under way and lets go of the folder."""
        self.wait()
        self._manager.close()

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check_room(self, state: Any) -> None:
        # On a disk that is full already, TensorStore's threads would print pages of tracebacks.
        needed = sum(getattr(leaf, "nbytes", 0) for leaf in jax.tree.leaves(state))
        if shutil.disk_usage(self.folder).free < needed:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.folder))

    @contextlib.contextmanager
    def _told(self, *steps: int) -> Iterator[None]:
        """Makes of a failed save, which Orbax tells in many ways, the one line for the user."""
        try:
            yield
        except (OSError, ValueError, RuntimeError) as error:
            found = _SYSTEM_ERROR.search(str(error))
            code = int(found[1]) if found else getattr(error, "errno", None)
            reason = os.strerror(code) if code else _first_line(error)
            left = f"it goes on from step {self.steps()[-1]}" if self.steps() else "it starts again"
            raise DataError(
                f"the checkpoint of step {', '.join(map(str, steps))} cannot be written to "
                f"{self.folder}: {reason}; mend that and run the same command: {left}"
            ) from error

    def _remove_old(self) -> None:
        kept = {*self.steps()[-self.keep :], best_step(self._metrics)}
        for step in sorted(set(self._metrics) - kept):
            # First the seal: a folder that a kill leaves half deleted counts as absent.
            if jax.process_index() == 0:
                (self.folder / str(step) / SEAL).unlink()
            self._manager.delete(step)
            del self._metrics[step]


def best_step(metrics: dict[int, float | None]) -> int:
    """Returns the step with the highest metric, of equals the latest; None counts least."""
    return max(metrics, key=lambda step: (_comparable(metrics[step]), step))


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
            return root / str(best_step({step: _metric(root / str(step)) for step in steps}))
    command = f"python -m iid_jax.main --config=configs/quickstart.py --workdir={path}"
    raise DataError(f"no checkpoint in {path}; train one: {command}")


def _is_not_told_twice(record: logging.LogRecord) -> bool:
    """False for the tracebacks that Orbax's threads log: `wait` raises every one of them."""
    return record.levelno < logging.ERROR or not record.pathname.startswith(_ORBAX)


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
            f"{folder / STATE} cannot be read: {_first_line(error)}; use another checkpoint"
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


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


def _remove_incomplete(folder: Path) -> list[str]:
    """Removes step folders without a seal; nothing that Orbax did not write is touched."""
    found = [
        path
        for path in sorted(folder.glob("*"))
        if path.is_dir() and _STEP_FOLDER.match(path.name) and not (path / SEAL).exists()
    ]
    for path in found:
        shutil.rmtree(path)
    return [path.name for path in found]


def _metric(folder: Path) -> float | None:
    return read_json(folder / INFO / "metadata").get("metric")


def _comparable(metric: Any) -> float:
    usable = isinstance(metric, (int, float)) and math.isfinite(metric)
    return float(metric) if usable else -math.inf


def _group(info: dict[str, Any], name: str, folder: Path) -> dict[str, Any]:
    if not isinstance(info.get(name), dict):
        raise DataError(f"{folder / INFO}: {name} must be a group of keys, got {info.get(name)!r}")
    return info[name]


def _meet(name: str) -> None:
    """Waits for all processes of the run."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(name)
