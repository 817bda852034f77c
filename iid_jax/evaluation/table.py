"""The table of scores and its file: one line for every record asked for, UTF-8, sorted by record.

A record without a score has an empty one and a status that says why.
"""

import contextlib
import csv
import dataclasses
import os
from pathlib import Path
from typing import Any

import numpy as np

from iid_jax.errors import DataError

COLUMNS = (
    "record",
    "data",
    "split",
    "video_id",
    "frame",
    "face",
    "method",
    "identity",
    "source_identity",
    "label",
    "score",
    "logit",
    "status",
)
# A column more, of scores of the `probe` split: who a person was in the detector's training.
ROLE, DONOR, GENUINE = "role", "donor", "genuine"
ROLES = ("", DONOR, GENUINE, f"{DONOR}+{GENUINE}")
WHOLE_NUMBERS, FRACTIONS = ("frame", "face", "label"), ("score", "logit")
OK = "ok"
# How many records an error names.
NAMED = 5


@dataclasses.dataclass(frozen=True)
class ScoreTable:
    """The columns of a scores file (`COLUMNS`, `ROLE` in some), sorted by record.

    NaN where there is no score.
    """

    columns: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.columns["record"])

    def __getitem__(self, column: str) -> np.ndarray:
        return self.columns[column]

    @property
    def scored(self) -> np.ndarray:
        """Bool (N,): which records have a score."""
        return self.columns["status"] == OK

    def take(self, chosen: np.ndarray) -> "ScoreTable":
        """Returns the rows chosen by a mask or by indices."""
        return ScoreTable({name: values[chosen] for name, values in self.columns.items()})

    def videos(self) -> np.ndarray:
        """Returns the video of each record, (N,): clips of one name under several methods differ.

        Raises:
          ValueError: a name has records of both labels.
        """
        names, index = np.unique(self["video_id"], return_inverse=True)
        fakes = np.bincount(index, self["label"], len(names)) / np.bincount(index)
        mixed = (fakes > 0.0) & (fakes < 1.0)
        if mixed.any():
            raise ValueError(f"video {str(names[mixed][0])!r} has frames of both labels")
        of_method = np.unique(self["method"], return_inverse=True)[1]
        pairs = np.unique(np.stack([index, of_method], 1), axis=0)
        shared = np.bincount(pairs[:, 0], minlength=len(names)) > 1
        # A character that no name holds, lest "m" + "/" + "x" be the clip that is called "m/x".
        longer = np.char.add(np.char.add(self["method"], "\0/"), self["video_id"])
        return np.where(shared[index], longer, self["video_id"])

    def people(self) -> np.ndarray:
        """Returns who is shown by each record, (N,): its video's name where that is not known."""
        return np.where(self["identity"] == "", np.char.add("\0", self.videos()), self["identity"])

    def failures(self) -> dict[str, int]:
        """Returns how many records have which status, those with a score left out."""
        names, counts = np.unique(self.columns["status"][~self.scored], return_counts=True)
        return dict(zip(names.tolist(), counts.tolist(), strict=True))


def sigmoid(logit: np.ndarray) -> np.ndarray:
    """Returns 1 / (1 + exp(-logit)) without overflow."""
    small = np.exp(-np.abs(logit))
    return np.where(logit >= 0, 1.0, small) / (1.0 + small)


def as_stored(values: np.ndarray) -> np.ndarray:
    """Returns the values at the precision of a scores file, 9 significant digits."""
    return np.array([float(f"{value:.9g}") for value in values], np.float64)


def file_name(data: str, split: str) -> str:
    """Returns the name of the scores file of a data set `name/config` and a split."""
    return f"{data.replace('/', '.')}.{split}.csv"


def write_csv(path: Path, table: ScoreTable) -> None:
    """Writes a scores file (UTF-8, sorted by record), whole or not at all.

    Raises:
      DataError: the file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            names = (*COLUMNS, *([ROLE] if ROLE in table.columns else []))
            writer.writerow(names)
            writer.writerows(zip(*(_texts(name, table[name]) for name in names), strict=True))
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise DataError(f"cannot write {path}: {error.strerror}; choose another --out") from error


def _texts(name: str, values: np.ndarray) -> list[Any]:
    if name in FRACTIONS:
        return ["" if np.isnan(value) else f"{value:.9g}" for value in values]
    return values.tolist()


def read_csv(path: str | os.PathLike) -> ScoreTable:
    """Returns the table of a scores file.

    Raises:
      DataError: it is not there, not a scores file, or holds a value that cannot be one.
    """
    try:
        # utf-8-sig: spreadsheets put a byte order mark before the first line.
        with Path(path).open(newline="", encoding="utf-8-sig") as file:
            header, *lines = [*csv.reader(file)] or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"cannot read {path}: {error}; give a file of a run's scores/") from error
    if tuple(header) not in (COLUMNS, (*COLUMNS, ROLE)):
        raise DataError(
            f"{path} is not a scores file: its first line must be {','.join(COLUMNS)}, "
            f"got {','.join(header)[:80]!r}"
        )
    if not lines:
        raise DataError(f"{path} holds no record, only the names of the columns; score again")
    damaged = next((n for n, line in enumerate(lines, 2) if len(line) != len(header)), None)
    if damaged is not None:
        raise DataError(
            f"{path} is damaged: line {damaged} has {len(lines[damaged - 2])} values, not "
            f"{len(header)}; score again"
        )
    texts = dict(zip(header, map(list, zip(*lines, strict=True)), strict=True))
    try:
        table = ScoreTable({name: _parsed(name, values) for name, values in texts.items()})
    except (ValueError, OverflowError) as error:
        raise DataError(f"{path} is damaged: {error}; score again") from error
    _check(path, table)
    return table


def _parsed(name: str, values: list[str]) -> np.ndarray:
    if name in WHOLE_NUMBERS:
        return np.array([int(value) for value in values], np.int32)
    if name in FRACTIONS:
        return np.array([float(value) if value else np.nan for value in values], np.float64)
    return np.array(values)


def _check(path: str | os.PathLike, table: ScoreTable) -> None:
    if not np.isin(table["label"], (0, 1)).all():
        raise DataError(f"{path} is damaged: a label must be 0 (real) or 1 (fake)")
    if not np.isin(table.columns.get(ROLE, ""), ROLES).all():
        raise DataError(f"{path} is damaged: a {ROLE} must be {', '.join(ROLES[1:])} or empty")
    names, counts = np.unique(table["record"], return_counts=True)
    if (counts > 1).any():
        twice = _some(names[counts > 1])
        raise DataError(f"{path} is damaged: a record appears twice: {twice}")
    inside = (table["score"] >= 0) & (table["score"] <= 1)
    if (inside != table.scored).any():
        named = _some(table["record"][inside != table.scored])
        raise DataError(
            f"{path} is damaged: a score of 0 to 1 goes with status ok and no other: {named}"
        )


def _some(names: np.ndarray) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(map(str, names[:NAMED])) + more
