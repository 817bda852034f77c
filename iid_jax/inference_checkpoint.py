"""The inference checkpoint: a detector to hand on, without optimiser, data position or code.

    DIR/detector.json          what it is: see `describe`
    DIR/checkpoints/<step>/    parameters and statistics (Orbax), sealed; a workdir's layout
    DIR/SHA256SUMS             of the files beside it, for `sha256sum -c`; the Markdown is left out:
                               people may add to it

Orbax reads the arrays without a target tree on any number of devices; so do `iid_jax.load(DIR)` and
every verb's `--checkpoint=DIR`.
"""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

import iid_jax
from iid_jax import seal
from iid_jax.checkpoint import FOLDER, INFO, STATE, Loaded
from iid_jax.errors import DataError, UsageError

NAME, SUMS, SCHEMA = "detector.json", "SHA256SUMS", 1
LABELS = ("real", "fake")


def known(value: Any, reason: str = "") -> dict[str, Any]:
    """Returns {"value", "reason"}: a value, or None and why there is none."""
    return {"value": value, "reason": reason}


def describe(
    loaded: Loaded,
    *,
    temperature: Mapping[str, Any] | None = None,
    score_threshold: Mapping[str, Any] | None = None,
    box_threshold: Mapping[str, Any] | None = None,
    data: Mapping[str, Any] | None = None,
    metrics: list[dict[str, Any]] | None = None,
    train: Mapping[str, Any] | None = None,
    licence: str | None = None,
    source: str = "",
) -> dict[str, Any]:
    """Returns the JSON of `detector.json`.

    `temperature`, `score_threshold` and `box_threshold` are made by `known`. `data` is {name:
    {fingerprint, videos, frames, landmarker}} of what it was trained or measured on, `metrics` the
    results of a summary, `train` its account of the training, `source` where the weights are from.
    """
    unknown = known(None, "not fitted: there are no validation scores")
    landmarkers = sorted({entry.get("landmarker", "") for entry in (data or {}).values()} - {""})
    leaves = jax.tree.leaves(loaded.variables["params"])
    config = loaded.config.to_dict()
    return {
        "schema": SCHEMA,
        "iid_jax": iid_jax.__version__,
        "model": {**config["model"], "parameters": sum(int(leaf.size) for leaf in leaves)},
        "input_spec": loaded.input_spec.to_dict(),
        "labels": list(LABELS),
        "step": loaded.step,
        "temperature": dict(temperature or unknown),
        "score_threshold": dict(score_threshold or unknown),
        "box_threshold": dict(box_threshold or unknown),
        "landmarker": landmarkers[0] if len(landmarkers) == 1 else None,
        "data": dict(data or {}),
        "metrics": list(metrics or []),
        "train": dict(train or {}),
        "licence": licence,
        "source": source,
        "config": config,
    }


@contextlib.contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Gives a folder to write into that becomes `out` when all went well, and is removed if not.

    The files at its top are sealed.

    Raises:
      UsageError: `out` is there already and not empty, or cannot be made.
    """
    out = Path(out)
    if out.is_symlink() or (out.exists() and (not out.is_dir() or any(out.iterdir()))):
        raise UsageError(f"--out={out} is there already; nothing is overwritten, choose another")
    making = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        making.mkdir(parents=True)
        yield making
        _seal(making)
        if out.exists():
            out.rmdir()
        making.rename(out)
    finally:
        shutil.rmtree(making, ignore_errors=True)


def write(folder: Path, loaded: Loaded, description: Mapping[str, Any]) -> None:
    """Writes a detector into a folder of `new_folder`, with its description (see `describe`)."""
    step = Path(folder).resolve() / FOLDER / str(loaded.step)
    variables = jax.tree.map(np.asarray, loaded.variables)
    spec = loaded.input_spec.to_dict()
    info = {"config": loaded.config.to_dict(), "input_spec": spec, "step": loaded.step}
    info["landmarker"] = loaded.landmarker or description["landmarker"]
    handlers = {STATE: ocp.PyTreeCheckpointHandler(), INFO: ocp.JsonCheckpointHandler()}
    items = {STATE: ocp.args.PyTreeSave(variables), INFO: ocp.args.JsonSave(info)}
    with ocp.Checkpointer(ocp.CompositeCheckpointHandler(**handlers)) as writer:
        writer.save(step, args=ocp.args.Composite(**items))
    seal.seal(step)
    text = json.dumps(description, indent=1, ensure_ascii=False, allow_nan=False)
    (Path(folder) / NAME).write_text(text + "\n", encoding="utf-8")


def read(folder: Path) -> dict[str, Any] | None:
    """Returns the description of the inference checkpoint at `folder`, None where it is no such.

    Raises:
      DataError: it cannot be read, is not what was written, or is of another schema.
    """
    path = Path(folder) / NAME
    if not path.exists():
        return None
    _check_seal(path)
    values = seal.read_json(path)
    if values.get("schema") != SCHEMA:
        raise DataError(
            f"{path}: schema {values.get('schema')!r}, this version reads {SCHEMA}; export it again"
        )
    return values


def read_value(description: Mapping[str, Any], name: str) -> float | None:
    """Returns a number made by `known`, None where it is unknown.

    Raises:
      DataError: it is neither.
    """
    entry = description.get(name)
    value = entry.get("value") if isinstance(entry, dict) else entry
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not np.isfinite(value):
        raise DataError(f"{NAME}: {name} must be a number or null, got {value!r}")
    return float(value)


def _seal(folder: Path) -> None:
    """Writes SHA256SUMS, in the form of coreutils."""
    files = sorted(p for p in folder.iterdir() if p.is_file() and p.suffix != ".md")
    text = "".join(f"{seal.digest(path)}  {path.name}\n" for path in files)
    (folder / SUMS).write_text(text, encoding="utf-8")


def _check_seal(path: Path) -> None:
    sums = path.with_name(SUMS)
    try:
        lines = sums.read_text(encoding="utf-8").splitlines()
        found = f"{seal.digest(path)}  {path.name}"
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{sums} cannot be read ({error}); export the detector again") from error
    if found not in lines:
        raise DataError(
            f"{path} is not what was exported: its sha256 is not in {SUMS}; copy it or export it "
            "again"
        )
