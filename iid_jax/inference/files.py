"""What `predict` leaves behind: results.json, results.csv and annotated pictures in a folder."""

import csv
import io
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path

from iid_jax.errors import DataError
from iid_jax.evaluation.summary import write_text
from iid_jax.inference.prediction import Prediction

JSON, CSV, PICTURES = "results.json", "results.csv", "pictures"
COLUMNS = ("path", "status", "score", "faces", "error")
_UNSAFE = re.compile(r"[^\w.-]+")
_PICTURE = re.compile(r"\d{4,}_.+\.png")


def claim(out: Path, overwrite: bool) -> int:
    """Makes the folder before any work is done; returns how many files of an earlier run are gone.

    Raises:
      DataError: it cannot be written, or holds results and `overwrite` is false.
    """
    probe = out / f".writable.{os.getpid()}"
    try:
        (out / PICTURES).mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
        earlier = [out / name for name in (JSON, CSV) if (out / name).exists()]
        earlier += [p for p in (out / PICTURES).iterdir() if _PICTURE.fullmatch(p.name)]
        if earlier and not overwrite:
            raise DataError(
                f"{earlier[0]} is there already and is not overwritten; choose another --out, or "
                "give --overwrite"
            )
        for path in earlier:
            path.unlink()
    except OSError as error:
        raise DataError(f"cannot write {out}: {error.strerror}; choose another --out") from error
    return len(earlier)


def picture_path(out: Path, number: int, source: str) -> Path:
    """Returns where the annotated picture of the `number`-th result (from 1) lies."""
    name = _UNSAFE.sub("_", Path(source).name)[-80:]
    return out / PICTURES / f"{number:04d}_{name}.png"


def write(out: Path, predictions: Sequence[Prediction]) -> None:
    """Writes results.json and results.csv, each whole or not at all.

    Raises:
      DataError: one cannot be written.
    """
    entries = [{**p.to_dict(), "path": _text(p.path), "error": _text(p.error)} for p in predictions]
    write_text(
        out / JSON, json.dumps(entries, ensure_ascii=False, allow_nan=False, indent=1) + "\n"
    )
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(COLUMNS)
    for p in predictions:
        score = "" if p.score is None else f"{p.score:.9g}"
        faces = max((len(frame.faces) for frame in p.frames), default=0)
        writer.writerow([_text(p.path), p.status, score, faces, _text(p.error)])
    write_text(out / CSV, table.getvalue())


def _text(name: str) -> str:
    """A name as UTF-8 can hold it: bytes of a file name that are none become \\udcXX."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")
