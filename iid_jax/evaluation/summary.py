"""summary.json: what was measured, on what, with what, and the command that did it."""

import contextlib
import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import iid_jax
from iid_jax import config_file
from iid_jax.config import Config
from iid_jax.data.catalog import Catalog
from iid_jax.errors import DataError, UsageError

SCHEMA = 1
NAME = "summary.json"
TRAIN_KEYS = ("steps", "images", "seconds", "compile_seconds")
_PACKAGES = ("jax", "jaxlib", "flax", "optax", "grain", "numpy", "opencv-python-headless")


def build(
    command: str,
    seed: int,
    config: Config | None,
    data: Mapping[str, Any],
    results: Iterable[Mapping[str, Any]],
    train: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Returns the summary, schema 1; `train` may hold more than the keys that are kept.

    Without a `config` (scores from a file) config_sha256 is None and no accelerator is looked for.
    """
    train = train or {}
    return {
        "schema": SCHEMA,
        "command": command,
        "commit": commit(),
        "seed": seed,
        "config_sha256": None if config is None else config_sha256(config),
        "versions": versions(),
        "hardware": hardware(devices=config is not None),
        "data": dict(data),
        "train": {key: train.get(key) for key in TRAIN_KEYS},
        "results": list(results),
    }


def write(folder: Path, summary: Mapping[str, Any]) -> None:
    """Writes summary.json, whole or not at all.

    Raises:
      DataError: it cannot be written.
    """
    text = json.dumps(summary, indent=1, ensure_ascii=False, allow_nan=False)
    write_text(folder / NAME, text + "\n")


def write_text(path: Path, text: str) -> None:
    """Writes a text file, whole or not at all.

    Raises:
      DataError: it cannot be written.
    """
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file, whole or not at all.

    Raises:
      DataError: it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise DataError(f"cannot write {path}: {error.strerror}; choose another --out") from error


def read(folder: Path) -> dict[str, Any] | None:
    """Returns the summary of a folder, None where there is none.

    Raises:
      DataError: the file is damaged.
    """
    try:
        summary = json.loads((folder / NAME).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise DataError(f"{folder / NAME} cannot be read ({error}); delete it") from error
    if not isinstance(summary, dict) or "results" not in summary:
        raise DataError(
            f"{folder / NAME} is no summary of a run; delete it or choose another --out"
        )
    return summary


def run_folder(checkpoint: Path) -> Path:
    """Returns the run that a checkpoint belongs to: the nearest folder that holds a config.json."""
    here = checkpoint.resolve()
    around = (here, *here.parents[:2])
    known = [folder for folder in around if (folder / "config.json").exists()]
    return known[0] if known else (here if here.is_dir() else here.parent)


def of_run(folder: Path, config: Config) -> dict[str, Any] | None:
    """Returns the summary of the run in `folder`; None where it has none, or one of another run.

    A run is known by its configuration, or by its config.json where that means the same today: it
    lacks the keys that this package has got since.

    Raises:
      DataError: the summary is damaged.
    """
    made = read(folder)
    if made is None or made.get("config_sha256") == config_sha256(config):
        return made
    try:
        written = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        meant = config_file.from_dict(written).outcome()
        # Of the values as they stand, or as they stood before worker processes ceased to count.
        outcome = {**written, "data": {**written["data"], "workers": 0}}
        same = made.get("config_sha256") in (_sha256(written), _sha256(outcome))
        return made if same and meant == config.outcome() else None
    except (OSError, ValueError, AttributeError, KeyError, TypeError, UsageError):
        return None


def run_names(folders: Sequence[Path]) -> list[str]:
    """Returns what runs are called: the shortest ends of their paths that tell them apart."""
    parts = [folder.resolve().parts for folder in folders]
    for depth in range(1, max(map(len, parts)) + 1):
        names = ["/".join(p[-depth:]) for p in parts]
        if len(set(names)) == len(names):
            return names
    raise ValueError(f"a folder is given twice: {[str(folder) for folder in folders]}")


def training_of(workdir: Path, config: Config) -> dict[str, Any] | None:
    """Returns what the run's own summary says of its training, with the `command` that trained.

    None where there is no summary, or one of another configuration.

    Raises:
      DataError: the summary is damaged.
    """
    before = of_run(workdir, config)
    return before and {**before["train"], "command": before["command"]}


def check_out(folder: Path, config: Config | None) -> None:
    """Makes the folder for results, before any work is done.

    Raises:
      DataError: it cannot be written, or holds the summary of another configuration.
    """
    probe = folder / f".writable.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise DataError(f"cannot write {folder}: {error.strerror}; choose another --out") from error
    before = read(folder)
    if before is None:
        return
    known = before.get("config_sha256") is None if config is None else of_run(folder, config)
    if not known:
        raise DataError(
            f"{folder / NAME} is of another configuration and is not overwritten; "
            "choose another --out"
        )


def config_sha256(config: Config) -> str:
    """Returns the sha256 of what a run's outcome depends on, independent of the order of keys."""
    return _sha256(config.outcome())


def _sha256(values: Any) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def describe_data(catalog: Catalog) -> dict[str, Any]:
    """Returns a data set's entry in the summary, over all its splits."""
    columns = catalog.columns
    return {
        "fingerprint": catalog.fingerprint,
        "videos": len(set(columns["video_id"].tolist())),
        "frames": len(catalog),
        "landmarker": catalog.landmarker,
    }


def versions() -> dict[str, str]:
    """Returns the versions of Python, this package and what it computes with."""
    found = {"python": platform.python_version(), "iid_jax": iid_jax.__version__}
    return found | {name: importlib.metadata.version(name) for name in _PACKAGES}


def hardware(devices: bool = True) -> dict[str, Any]:
    """Returns the number of CPU cores and, with `devices`, what JAX computes on."""
    found: dict[str, Any] = {"machine": platform.machine(), "cpu_cores": _cores()}
    if devices:
        import jax

        here = jax.devices()
        found |= {"backend": here[0].platform, "device": here[0].device_kind, "devices": len(here)}
    return found


def commit() -> str:
    """Returns the commit of this source tree, `-dirty` where it was changed, "" outside git."""
    root = Path(iid_jax.__file__).parents[1]
    if not (root / ".git").exists():
        return ""
    command = [
        "git",
        "-C",
        str(root),
        "describe",
        "--always",
        "--abbrev=40",
        "--dirty",
        "--exclude=*",
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def _cores() -> int:
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
