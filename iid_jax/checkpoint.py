"""All durability: saving, sealing, resuming and loading, on Orbax.

A step folder holds the state (Orbax) and `info` (JSON: config, input spec, data position, metric).
When Orbax has finished it, a seal with the sha256 of every file is added: Orbax does not notice
bit rot. A step without a seal was cut off and counts as absent.
"""

import dataclasses
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers as policies

from iid_jax import config_file
from iid_jax.config import Config
from iid_jax.errors import DataError
from iid_jax.models import InputSpec
from iid_jax.models import detector as detectors

FOLDER, SEAL, CONFIG = "checkpoints", "sha256.json", "config.json"
STATE, INFO = "state", "info"


@dataclasses.dataclass(frozen=True)
class Loaded:
    """A detector ready for use: Linen module, variables (NumPy), input spec, anchors or None."""

    module: Any
    variables: dict[str, Any]
    input_spec: InputSpec
    anchors: np.ndarray | None
    config: Config
    step: int


class Checkpoints:
    """The checkpoints of a workdir; saving goes on while training does.

    Kept are the newest `keep` and the one with the highest metric.
    """

    def __init__(self, workdir: Path, keep: int = 2):
        self.folder = Path(workdir).resolve() / FOLDER
        self._unsealed: set[int] = set()
        self._drop_unsealed()
        kept = policies.AnyPreservationPolicy(
            [
                policies.LatestN(keep),
                policies.BestN(
                    get_metric_fn=lambda metrics: metrics["value"],
                    n=1,
                    keep_checkpoints_without_metrics=False,
                ),
            ]
        )
        options = ocp.CheckpointManagerOptions(preservation_policy=kept)
        self._manager = ocp.CheckpointManager(self.folder, options=options)

    def steps(self) -> list[int]:
        """Returns the steps that are complete, ascending."""
        return sorted(sealed_steps(self.folder))

    def save(self, step: int, state: Any, info: dict[str, Any], metric: float | None) -> None:
        """Starts to save; `info` must be JSON. Finished earlier saves are sealed."""
        self.wait()
        args = ocp.args.Composite(
            **{STATE: ocp.args.StandardSave(state), INFO: ocp.args.JsonSave(info)}
        )
        metrics = None if metric is None else {"value": metric}
        self._manager.save(step, args=args, metrics=metrics)
        self._unsealed.add(step)

    def poll(self) -> None:
        """Seals what has been written since, without waiting."""
        if self._unsealed and not self._manager.is_saving_in_progress():
            self.wait()

    def wait(self) -> None:
        """Waits for the save under way and seals it."""
        self._manager.wait_until_finished()
        for step in self._unsealed & set(self._manager.all_steps()):
            seal(self.folder / str(step))
        self._unsealed.clear()

    def restore(self, step: int, like: Any) -> tuple[Any, dict[str, Any]]:
        """Returns (state, info) of a step; `like` gives the shapes, types and shardings.

        Raises:
          DataError: a file differs from its seal.
        """
        check_seal(self.folder / str(step))
        args = ocp.args.Composite(
            **{STATE: ocp.args.StandardRestore(like), INFO: ocp.args.JsonRestore()}
        )
        restored = self._manager.restore(step, args=args)
        return restored[STATE], restored[INFO]

    def close(self) -> None:
        """Finishes the save under way and lets go of the folder."""
        self.wait()
        self._manager.close()

    def _drop_unsealed(self) -> None:
        for path in self.folder.glob("*"):
            if path.is_dir() and not (path / SEAL).exists():
                shutil.rmtree(path)


def sealed_steps(folder: Path) -> list[int]:
    """Returns the numbers of the complete step folders under `folder`."""
    return [int(p.parent.name) for p in folder.glob(f"*/{SEAL}") if p.parent.name.isdigit()]


def seal(folder: Path) -> None:
    """Writes down the sha256 of every file of a finished step folder."""
    temporary = folder / f"{SEAL}.tmp"
    temporary.write_text(json.dumps(_digests(folder), indent=1), encoding="utf-8")
    temporary.replace(folder / SEAL)


def check_seal(folder: Path) -> None:
    """Checks every file of a step folder against its seal.

    Raises:
      DataError: a file is missing, new or changed.
    """
    try:
        expected = json.loads((folder / SEAL).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{folder}: no readable {SEAL}; it was not saved completely") from error
    found = _digests(folder)
    for name in sorted(set(expected) | set(found)):
        if expected.get(name) != found.get(name):
            raise DataError(
                f"{folder / name} differs from what was saved; delete the folder {folder} to go "
                "on from the checkpoint before it"
            )


def load_detector(path: str | Path) -> Loaded:
    """Returns the detector at `path`: a workdir (its best step), or a step folder.

    Raises:
      DataError: there is none, it is damaged, or its config is not one of ours.
    """
    folder = find_step(Path(path))
    check_seal(folder)
    info = _read_json(folder / INFO / "metadata")
    config = config_file.from_dict(info["config"])
    module, _, anchors = detectors.build_detector(config.model)
    with ocp.PyTreeCheckpointer() as reader:
        tree = reader.metadata(folder / STATE).item_metadata.tree
        as_numpy = _map(tree, ocp.RestoreArgs(restore_type=np.ndarray))
        state = reader.restore(folder / STATE, restore_args=as_numpy)
    return Loaded(
        module=module,
        variables={name: state[name] for name in ("params", "batch_stats")},
        input_spec=InputSpec.from_dict(info["input_spec"]),
        anchors=anchors,
        config=config,
        step=int(folder.name),
    )


def find_step(path: Path) -> Path:
    """Returns the step folder of a workdir, its best by metric, or `path` if it is one.

    Raises:
      DataError: there is none.
    """
    path = path.resolve()
    if (path / SEAL).exists():
        return path
    steps = sealed_steps(path / FOLDER)
    if not steps:
        raise DataError(f"no checkpoint in {path}; train one: --config=CONFIG --workdir={path}")
    infos = {step: _read_json(path / FOLDER / str(step) / INFO / "metadata") for step in steps}
    best = max(steps, key=lambda step: (_number(infos[step].get("metric")), step))
    return path / FOLDER / str(best)


def _number(metric: float | None) -> float:
    return -np.inf if metric is None else float(metric)


def _map(tree: Any, value: Any) -> Any:
    if isinstance(tree, dict):
        return {name: _map(child, value) for name, child in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [_map(child, value) for child in tree]
    return value


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error


def _digests(folder: Path) -> dict[str, str]:
    files = [p for p in sorted(folder.rglob("*")) if p.is_file() and SEAL not in p.name]
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files
    }
