"""DeepfakeBench's dataset JSON: which pictures belong to which video, split and label.

The file maps a data set's name to its classes (`FF-real`, `CelebDFv2_fake`), these to splits, for
FaceForensics++ these to compressions, and at last names of videos to `label` and `frames`. The
benchmark's own validation sets repeat its test or training videos: they are left out. Its frames
were taken on a grid of each video's own, so fakes have no pristine frames here.
"""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from iid_jax.data import listing, schema
from iid_jax.data.clips import Clip
from iid_jax.errors import DataError

SPLITS = ("train", "val", "test")
_NUMBER = re.compile(r"(\d+)\D*$")


def is_one(path: Path) -> bool:
    """Returns whether the JSON file has this form: data set, class, split."""
    values = listing.parsed(path, object)
    try:
        classes = next(iter(values.values()))
        return bool(set(next(iter(classes.values()))) & set(SPLITS))
    except (AttributeError, StopIteration, TypeError):
        return False


def clips(path: Path, source: Path) -> Iterator[Clip]:
    """Yields the clips of the file; pictures are looked for below `source`.

    Raises:
      DataError: it has another form.
    """
    taken: set[tuple[str, ...]] = set()
    for data in listing.parsed(path).values():
        for kind, splits in _items(path, data):
            # Test first: what a validation set repeats stays where it was published.
            for split in ("test", "train", "val"):
                for video in _videos(path, splits.get(split, {}), ()):
                    if (kind, *video[0]) not in taken:
                        taken.add((kind, *video[0]))
                        yield _clip(kind, split, *video, source)


def _clip(kind: str, split: str, levels: tuple[str, ...], entry: dict, source: Path) -> Clip:
    *compression, _ = levels
    fake = not kind.lower().endswith("real")
    found = [_below(source, frame) for frame in entry["frames"]]
    return Clip(
        video_id="/".join((kind, *levels)),
        split=split,
        label=schema.FAKE if fake else schema.REAL,
        method=kind if fake else schema.ORIGINAL,
        images=tuple(sorted((_number(frame), frame) for frame in found)),
        compression=compression[0] if compression else "",
    )


def _videos(
    path: Path, values: Any, levels: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], dict]]:
    """((compression,) name, entry) of every video; entries are the objects with `frames`."""
    for name, entry in _items(path, values):
        if "frames" in entry:
            yield (*levels, name), entry
        elif len(levels) < 1:
            yield from _videos(path, entry, (*levels, name))
        else:
            raise DataError(f"{path}: {name} has no `frames`")


def _items(path: Path, values: Any) -> list[tuple[str, dict]]:
    if not isinstance(values, dict) or not all(isinstance(v, dict) for v in values.values()):
        raise DataError(f"{path} has not the form of a DeepfakeBench dataset file")
    return list(values.items())


def _below(source: Path, frame: str) -> str:
    """The picture's path below `source`; the file holds those of the machine that made it."""
    parts = PurePosixPath(frame.replace("\\", "/")).parts
    for start in range(len(parts)):
        name = PurePosixPath(*parts[start:])
        if ".." not in name.parts and not name.is_absolute() and (source / name).is_file():
            return name.as_posix()
    return PurePosixPath(*(p for p in parts if p not in ("/", ".."))).as_posix()


def _number(frame: str) -> int:
    match = _NUMBER.search(PurePosixPath(frame).stem)
    if match is None:
        raise DataError(f"{frame}: a frame is named by its number, as in 000.png")
    return int(match[1])
