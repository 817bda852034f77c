"""Results of long work, kept as they come, so that the same command goes on after an interruption.

One .npz file per piece of work; it is replaced whole, never written in place.
"""

import os
import time
import zipfile
import zlib
from pathlib import Path

import numpy as np

from iid_jax.errors import DataError

EVERY_S = 20.0


class Store:
    """Up to `total` rows of named numbers or arrays; `done` of them are there already."""

    def __init__(self, path: Path, total: int, every_s: float = EVERY_S):
        self.path, self.total, self.every_s = path, total, every_s
        self._rows: dict[str, list[np.ndarray]] = {}
        self._saved = time.monotonic()
        if path.exists():
            self._rows = {name: list(values) for name, values in self._read().items()}

    @property
    def done(self) -> int:
        """How many rows there are."""
        return len(next(iter(self._rows.values()), []))

    def add(self, **row: np.ndarray | float) -> None:
        """Adds one row; from time to time all are saved."""
        for name, value in row.items():
            self._rows.setdefault(name, []).append(np.asarray(value))
        if self.done == self.total or time.monotonic() - self._saved >= self.every_s:
            self.save()

    def finish(self) -> dict[str, np.ndarray]:
        """Returns the columns (total, ...).

        Raises:
          ValueError: rows are missing.
        """
        if self.done != self.total:
            raise ValueError(f"{self.done} of {self.total} rows")
        return {name: np.stack(values) for name, values in self._rows.items()}

    def save(self) -> None:
        """Writes all rows there are."""
        if not self._rows:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_name(f".{self.path.stem}.{os.getpid()}.npz")
        try:
            np.savez_compressed(
                temporary, **{name: np.stack(values) for name, values in self._rows.items()}
            )
            temporary.replace(self.path)
        finally:
            temporary.unlink(missing_ok=True)
        self._saved = time.monotonic()

    def _read(self) -> dict[str, np.ndarray]:
        try:
            # A file of its own: np.load leaves the file of a damaged archive open.
            with self.path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                columns = dict(stored)
            lengths = {len(values) for values in columns.values()}
            if len(lengths) != 1 or max(lengths) > self.total:
                raise ValueError(f"rows: {sorted(lengths)}, expected up to {self.total}")
            return columns
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise DataError(f"{self.path} cannot be read ({error}); delete it") from error
