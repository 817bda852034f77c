"""What `prepare` leaves beside the records: a manifest, a report, and a lock while it works."""

import collections
import contextlib
import csv
import dataclasses
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from iid_jax.errors import DataError, UsageError

Problem = tuple[str, str, str]

MANIFEST, REPORT, LOCK = "manifest.json", "prepare_report.csv", ".prepare.lock"
REPORT_COLUMNS = ("item", "status", "detail")
# Reported, but nothing failed: no picture by its name, more than a person needs, only one, a frame
# without a face, a pristine video in another split, a second way to the same file.
NOTES = ("stray", "surplus", "single", "frame_no_face", "partner_elsewhere", "copy")


@dataclasses.dataclass(frozen=True)
class Settings:
    """What the user of `prepare` may choose; `source` is the folder as downloaded.

    Of video data sets: `frames` of each video, the `landmarker` (None: dlib), and `max_bad`, the
    percentage of videos that may be unusable.
    """

    source: str | None = None
    limit: int | None = None
    seed: int = 0
    frames: int | None = None
    landmarker: str | None = None
    max_bad: float = 2.0

    def described(self) -> dict[str, Any]:
        """Returns what the manifest holds of them; the source as a sha256 of its listing."""
        source = source_sha256(Path(self.source)) if self.source else None
        return {"seed": self.seed, "limit": self.limit, "source_sha256": source}


def source_sha256(folder: Path) -> str:
    """Returns the sha256 over the names and sizes of all files below the folder."""
    digest = hashlib.sha256()
    for root, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            path = Path(root, name)
            # A link to nowhere has no size but is part of the listing.
            size = path.stat().st_size if path.exists() else -1
            digest.update(os.fsencode(f"{path.relative_to(folder).as_posix()} {size}\n"))
    return digest.hexdigest()


def check_same(
    directory: Path, settings: Settings, described: Callable[[], dict[str, Any]] | None = None
) -> None:
    """Checks that the data set in `directory` was made with these settings.

    `described` gives what is compared, by default the settings' own. A source that is not given is
    not compared.

    Raises:
      UsageError: it was made with others. DataError: its manifest cannot be read.
    """
    path = directory / MANIFEST
    try:
        stored = dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{path} cannot be read; delete {directory} and prepare again") from error
    remedy = f"choose another --data_dir or delete {directory}"
    for key, now in (described or settings.described)().items():
        was = stored.get(key)
        if key == "source_sha256":
            if now not in (None, was):
                raise UsageError(
                    f"{directory} was prepared from other files than those now in "
                    f"--source={settings.source}; {remedy}"
                )
        elif was != now:
            raise UsageError(f"{directory} was prepared with {key} {was}, now {now}; {remedy}")


def write_manifest(directory: Path, manifest: dict[str, Any]) -> None:
    """Writes the manifest."""
    text = json.dumps(manifest, indent=1) + "\n"
    (directory / MANIFEST).write_text(text, encoding="utf-8")


def write_report(directory: Path, problems: list[Problem]) -> None:
    """Writes one row per problem, sorted."""
    with (directory / REPORT).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([REPORT_COLUMNS, *sorted(problems)])


def read_report(directory: Path) -> list[Problem]:
    """Returns the problems of the data set in `directory`.

    Raises:
      DataError: the report is missing.
    """
    try:
        with (directory / REPORT).open(newline="", encoding="utf-8") as file:
            return [tuple(row) for row in csv.reader(file)][1:]
    except OSError as error:
        raise DataError(f"{directory / REPORT} cannot be read: {error.strerror}") from error


def count_statuses(problems: list[Problem]) -> dict[str, int]:
    """Returns the number of problems by status."""
    return dict(sorted(collections.Counter(status for _, status, _ in problems).items()))


def count_flags(quality: list[str]) -> dict[str, int]:
    """Returns the number of records by quality flag."""
    flags = (flag for text in quality for flag in text.split(",") if flag)
    return dict(sorted(collections.Counter(flags).items()))


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keeps other preparations of the same data set out, and clears what a killed one left.

    Raises:
      DataError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / LOCK).open("w")
    except OSError as error:
        raise DataError(
            f"cannot write {folder}: {error.strerror}; choose another --data_dir"
        ) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for left in folder.glob("incomplete.*"):
            shutil.rmtree(left)
        yield
