"""Reading what people downloaded: folders in their variants, lists, and what lies astray there."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from iid_jax.data.prepared import Problem
from iid_jax.errors import DataError, UsageError
from iid_jax.faces import video


def folder(source: Path, *levels: str | Sequence[str]) -> Path | None:
    """Returns the folder below `source`, or None; a level may have several names.

    Capitals don't matter: people have `Youtube-real` and `YouTube-real`.
    """
    place = source
    for level in levels:
        names = [level] if isinstance(level, str) else list(level)
        there = {p.name.lower(): p for p in place.iterdir() if p.is_dir()}
        found = [there[name.lower()] for name in names if name.lower() in there]
        if not found:
            return None
        place = found[0]
    return place


def videos(source: Path, place: Path, *, deep: bool = False) -> tuple[list[Path], list[Problem]]:
    """Returns the videos of a folder, below `source`, by name, and what else lies there.

    They lie in the folder or one level lower, in `videos/`; with `deep` anywhere below.
    """
    inner = [place / "videos"] if (place / "videos").is_dir() else []
    found, strays = [], []
    for part in [*inner, place]:
        entries = sorted(p for p in (part.rglob("*") if deep else part.iterdir()))
        for path in entries:
            name = path.relative_to(source)
            if path.is_dir() or path.name.startswith("."):
                continue
            if path.suffix.lower() in video.SUFFIXES:
                found.append(name)
            else:
                strays.append((name.as_posix(), "stray", "not a video by its name"))
    return found, strays


def lines(path: Path) -> list[str]:
    """Returns the lines of a text file that hold something, whatever ends them.

    Raises:
      UsageError: the file is missing. DataError: it is no UTF-8 text.
    """
    return [line.strip() for line in _text(path).splitlines() if line.strip()]


def table(path: Path, *columns: str) -> list[dict[str, str]]:
    """Returns the rows of a CSV file with a header that has at least these columns.

    Raises:
      UsageError: the file is missing. DataError: a column is missing.
    """
    reader = csv.DictReader(io.StringIO(_text(path), newline=""))
    header = [name.strip() for name in reader.fieldnames or []]
    reader.fieldnames = header
    missing = [name for name in columns if name not in header]
    if missing:
        raise DataError(f"{path} has no column {missing[0]!r}; it has: {', '.join(header)}")
    return [{key: (value or "").strip() for key, value in row.items() if key} for row in reader]


def parsed(path: Path, kind: type = dict) -> Any:
    """Returns what a JSON file holds: an object (dict) or a list.

    Raises:
      UsageError: the file is missing. DataError: it is no JSON or holds something else.
    """
    try:
        values = json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is no JSON: {error}") from error
    if not isinstance(values, kind):
        raise DataError(f"{path} holds a {type(values).__name__}; it must be a {kind.__name__}")
    return values


def first_file(source: Path, *names: str) -> Path | None:
    """Returns the first of these files that is there."""
    return next((source / name for name in names if (source / name).is_file()), None)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise UsageError(f"no such file: {path}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no UTF-8 text: {error}") from error
