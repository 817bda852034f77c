"""The checkpoints of a run: saved while training goes on, sealed, resumed from."""

import contextlib
import errno
import logging
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils
from orbax.checkpoint import checkpoint_managers as policies

from iid_jax.checkpoint import FOLDER, INFO, STATE, best_step, comparable, metric_of
from iid_jax.errors import DataError, first_line
from iid_jax.seal import SEAL, check_seal, seal, sealed_steps

# What is wrong with the disk stands deep in TensorStore's messages.
_SYSTEM_ERROR = re.compile(r"os_error_code='(\d+)'")
_ORBAX = str(Path(ocp.__file__).parent)
_STEP_FOLDER = re.compile(r"^\d+(\.orbax-checkpoint-tmp.*)?$")


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
        self._metrics = {s: metric_of(self.folder / str(s)) for s in sealed_steps(self.folder)}
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
        return all(metric >= comparable(other) for other in known)

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
            reason = os.strerror(code) if code else first_line(error)
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


def _is_not_told_twice(record: logging.LogRecord) -> bool:
    """False for the tracebacks that Orbax's threads log: `wait` raises every one of them."""
    return record.levelno < logging.ERROR or not record.pathname.startswith(_ORBAX)


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


def _meet(name: str) -> None:
    """Waits for all processes of the run."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(name)
