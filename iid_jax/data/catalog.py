"""The catalog of a prepared data set: one row per record without pixels, queries, and reading.

Rows are numbered over all splits in the order of `schema.SPLITS`; a row number is the record
number that Grain and the scores use. The index file beside the records is derived and may be
deleted at any time.
"""

import collections
import hashlib
import json
import os
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from iid_jax.data import examples, schema
from iid_jax.errors import DataError, first_line, nearest

INDEX = "index.npz"


class Catalog:
    """The records of one prepared data set.

    Attributes:
      name: `data set/config`. directory: the folder of its record files.
      columns: name -> array with one entry per record (`schema.COLUMNS`).
    """

    def __init__(self, name: str, directory: Path):
        self.name, self.directory = name, Path(directory)
        self._sources: dict[str, Any] = {}
        self.columns = _index(name, self.directory)
        self._first = _first_rows(self.columns["split"])
        self._row_of = {key: row for row, key in enumerate(self._keys()) if key[3] == schema.REAL}

    def __len__(self) -> int:
        return len(self.columns["label"])

    def __getstate__(self) -> dict[str, Any]:
        # Open record files do not travel to worker processes; each opens its own.
        return {**self.__dict__, "_sources": {}}

    def select(
        self,
        split: str | None = None,
        methods: tuple[str, ...] = (),
        label: int | None = None,
        identities: set[str] | None = None,
    ) -> np.ndarray:
        """Returns the row numbers, ascending, that meet every condition given.

        `methods` restricts fakes only: genuine records are kept.
        """
        keep = np.ones(len(self), bool)
        if split is not None:
            keep &= self.columns["split"] == split
        if label is not None:
            keep &= self.columns["label"] == label
        if methods:
            genuine = self.columns["label"] == schema.REAL
            keep &= genuine | np.isin(self.columns["method"], list(methods))
        if identities is not None:
            keep &= np.isin(self.columns["identity"], list(identities))
        return np.flatnonzero(keep)

    def methods(self, split: str | None = None) -> list[str]:
        """Returns the names of the manipulations there are, sorted."""
        rows = self.select(split, label=schema.FAKE)
        return sorted(set(self.columns["method"][rows].tolist()))

    def pristine_of(self, rows: np.ndarray) -> np.ndarray:
        """Returns for each fake row the row of its pristine frame, -1 where there is none."""
        c = self.columns
        keys = zip(c["pristine_id"][rows], c["frame"][rows], c["face"][rows], strict=True)
        return np.array([self._row_of.get((*key, schema.REAL), -1) for key in keys], np.int64)

    def frames_beside(self, row: int) -> np.ndarray:
        """Returns the other rows of the same face in the same video and split, ascending."""
        c = self.columns
        same = np.ones(len(self), bool)
        for column in ("video_id", "face", "split"):
            same &= c[column] == c[column][row]
        same[row] = False
        return np.flatnonzero(same)

    def people(self, split: str, role: str = "identity", label: int | None = None) -> set[str]:
        """Returns who appears in a split as `identity` or as `source_identity` (donor)."""
        return set(self.columns[role][self.select(split, label=label)].tolist()) - {""}

    def record_id(self, row: int) -> str:
        """Returns `<data>/<config>:<video_id>#<frame>#<face>`, unique over all data sets."""
        c = self.columns
        return f"{self.name}:{c['video_id'][row]}#{c['frame'][row]}#{c['face'][row]}"

    def read(self, row: int) -> schema.Record:
        """Returns the record with its encoded image and mask.

        Raises:
          DataError: the record file is damaged.
        """
        split = str(self.columns["split"][row])
        if split not in self._sources:
            self._sources[split] = _open_split(self.name, self.directory, split)
        try:
            return examples.parse(self._sources[split][int(row) - self._first[split]])
        except Exception as error:
            what = f"record {self.record_id(row)} cannot be read"
            raise _damaged(self.name, self.directory, what, error) from error

    @property
    def fingerprint(self) -> str:
        """The sha256 over all records' ids and images, in order."""
        digest = hashlib.sha256()
        for row in range(len(self)):
            digest.update(f"{self.record_id(row)} {self.columns['sha256'][row]}\n".encode())
        return digest.hexdigest()

    @property
    def manifest(self) -> dict[str, Any]:
        """What `prepare` noted down, or {} where the note is missing.

        Raises:
          DataError: the note is damaged.
        """
        path = self.directory / "manifest.json"
        if not path.exists():
            return {}
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(values, dict):
                raise ValueError(f"a {type(values).__name__} in place of an object")
            return values
        except (OSError, ValueError) as error:
            what = f"{path.name} cannot be read"
            raise _damaged(self.name, self.directory, what, error) from error

    @property
    def landmarker(self) -> str:
        """The fingerprint of what found the landmarks."""
        return self.manifest.get("landmarker", "")

    def counts(self) -> dict[str, dict[str, int]]:
        """Returns the number of records by split and method."""
        table = collections.defaultdict(collections.Counter)
        for split, method in zip(self.columns["split"], self.columns["method"], strict=True):
            table[str(split)][str(method)] += 1
        return {split: dict(sorted(methods.items())) for split, methods in table.items()}

    def _keys(self):
        c = self.columns
        return zip(
            c["video_id"].tolist(), c["frame"].tolist(), c["face"].tolist(), c["label"].tolist(),
            strict=True,
        )  # fmt: skip


def open_catalog(full_name: str, data_dir: str | os.PathLike) -> Catalog:
    """Returns the catalog of the prepared data set `name[/config]` under `data_dir`.

    Raises:
      DataError: it is not there; the message holds the command that makes it.
    """
    name, _, config = full_name.partition("/")
    config = config or "default"
    root = Path(data_dir) / name / config
    # What a killed `prepare` leaves lies in folders that are not called like a version.
    versions = [p.parent for p in root.glob("[0-9]*.[0-9]*.[0-9]*/features.json")]
    if not versions:
        known = [p.name for p in Path(data_dir).glob("*") if p.is_dir()]
        hint = nearest(name, known) if known and name not in known else ""
        raise DataError(
            f"no data set {name}/{config} under --data_dir={data_dir}{hint}; make it with "
            + _command(f"{name}/{config}", data_dir)
        )
    newest = max(versions, key=lambda p: [int(n) for n in p.name.split(".")])
    return Catalog(f"{name}/{config}", newest)


def _open_split(name: str, directory: Path, split: str) -> Any:
    try:
        return tfds.builder_from_directory(directory).as_data_source(
            split, deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES
        )
    except Exception as error:
        raise _damaged(name, directory, f"split {split} cannot be opened", error) from error


def _command(full_name: str, data_dir: str | os.PathLike) -> str:
    return f"python -m iid_jax.main prepare --dataset={full_name} --data_dir={data_dir}"


def _damaged(name: str, directory: Path, what: str, error: Exception) -> DataError:
    remedy = f"delete {directory} and make it again with {_command(name, directory.parents[2])}"
    return DataError(f"{name}: {what} ({first_line(error)}); {remedy}")


def _index(name: str, directory: Path) -> dict[str, np.ndarray]:
    stamp = _stamp(directory)
    path = directory / INDEX
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            columns = {column: stored[column] for column in stored.files}
        if columns.pop("stamp").item() == stamp and columns.keys() == set(schema.COLUMNS):
            return columns
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        pass  # absent, stale or damaged: the index is derived again from the records
    columns = _scan(name, directory)
    _store(path, {**columns, "stamp": np.array(stamp)})
    return columns


def _stamp(directory: Path) -> str:
    files = sorted(directory.glob("*.array_record*"))
    return json.dumps([1, [(f.name, f.stat().st_size) for f in files]])


def _scan(name: str, directory: Path) -> dict[str, np.ndarray]:
    lists: dict[str, list[Any]] = {column: [] for column in schema.COLUMNS}
    try:
        splits = tfds.builder_from_directory(directory).info.splits
    except Exception as error:
        raise _damaged(name, directory, "its description cannot be read", error) from error
    for split in (s for s in schema.SPLITS if s in splits):
        source = _open_split(name, directory, split)
        for position in range(len(source)):
            try:
                record = examples.parse(source[position])
            except Exception as error:
                what = f"record {position} of split {split} cannot be read"
                raise _damaged(name, directory, what, error) from error
            for column, values in lists.items():
                values.append(getattr(record, column))
    return {column: np.array(values) for column, values in lists.items()}


def _store(path: Path, columns: dict[str, np.ndarray]) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.npz")
    try:
        np.savez_compressed(temporary, **columns)
        temporary.replace(path)
    except OSError:
        # A read-only data set is fine: the index is kept in memory only.
        temporary.unlink(missing_ok=True)


def _first_rows(splits: np.ndarray) -> dict[str, int]:
    names, first = np.unique(splits, return_index=True)
    return dict(zip(names.tolist(), first.tolist(), strict=True))
