"""folder: anybody's videos and pictures, as a tree `real/ fake/` or listed in a manifest."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from iid_jax.data import benchmark_json, listing, schema, videos
from iid_jax.data.clips import Clip
from iid_jax.data.schema import SPLITS
from iid_jax.errors import DataError, UsageError
from iid_jax.faces import media, video

MANIFESTS = ("manifest.csv", "manifest.json")
SPLIT_FOLDERS = ("train", "val", "test")
LABELS = {"0": schema.REAL, "real": schema.REAL, "1": schema.FAKE, "fake": schema.FAKE}
FOLDERS = {"real": schema.REAL, "fake": schema.FAKE}
OPTIONAL = ("split", "method", "video_id", "identity", "source_identity", "pristine_id", "mask")


class Builder(videos.VideoDatasetBuilder):
    """Builds folder: from a manifest, from DeepfakeBench's dataset JSON, or from the tree."""

    VERSION = tfds.core.Version("1.0.0")

    def clips(self) -> Iterable[Clip]:
        """Returns the clips of the manifest where there is one, else of the tree.

        Raises:
          UsageError: neither is there. DataError: a row of the manifest cannot be used.
        """
        manifest = listing.first_file(self.source, *MANIFESTS)
        if manifest is not None:
            return self._of_rows(manifest, list(_rows(manifest)))
        found = [p for p in sorted(self.source.glob("*.json")) if benchmark_json.is_one(p)]
        if found:
            return [clip for path in found for clip in benchmark_json.clips(path, self.source)]
        return list(self._of_tree())

    def _of_tree(self) -> Iterator[Clip]:
        """Every picture or video below real/ and fake/, or <split>/real/ and <split>/fake/."""
        splits = [s for s in SPLIT_FOLDERS if (self.source / s).is_dir()]
        for split in splits or [""]:
            for name, label in FOLDERS.items():
                place = listing.folder(self.source / split, name)
                for path in sorted(place.rglob("*")) if place else ():
                    if path.is_file() and not path.name.startswith("."):
                        yield from self._file(path, place, split or "test", label)

    def _file(self, path: Path, place: Path, split: str, label: int) -> Iterator[Clip]:
        name = path.relative_to(self.source)
        if path.suffix.lower() not in (*video.SUFFIXES, *media.SUFFIXES):
            stray = (name.as_posix(), "stray", "neither a video nor a picture by its name")
            self.problems.append(stray)
            return
        below = path.relative_to(place).parts
        method = (below[0] if len(below) > 1 else "fake") if label else schema.ORIGINAL
        # Two files that differ in their suffix only are two clips.
        yield Clip(
            video_id=name.as_posix(), split=split, label=label, method=method, **_source(name)
        )

    def _of_rows(self, manifest: Path, rows: list[dict[str, str]]) -> list[Clip]:
        """The clips of a manifest; rows of one video_id with `frame` numbers are its pictures."""
        grouped: dict[str, list[dict[str, str]]] = {}
        for row in rows:
            grouped.setdefault(row.get("video_id") or row["path"], []).append(row)
        return [self._of_row(manifest, name, group) for name, group in grouped.items()]

    def _of_row(self, manifest: Path, name: str, rows: list[dict[str, str]]) -> Clip:
        first = rows[0]
        label = LABELS.get(first["label"].lower())
        split = first.get("split") or "test"
        if label is None or split not in SPLITS:
            raise DataError(
                f"{manifest}: {name} has label {first['label']!r} and split {split!r}; allowed: "
                f"{', '.join(LABELS)}, and {', '.join(SPLITS)}"
            )
        differing = [key for key in ("label", *OPTIONAL) if len({r.get(key) for r in rows}) > 1]
        if differing:
            raise DataError(f"{manifest}: rows of {name} differ in {differing[0]}")
        told = {key: first.get(key) or "" for key in OPTIONAL if key not in ("split", "method")}
        method = first.get("method") or ("fake" if label else schema.ORIGINAL)
        if label == schema.REAL and method != schema.ORIGINAL:
            raise DataError(f"{manifest}: {name} is real, its method must be {schema.ORIGINAL!r}")
        told["video_id"] = name
        return Clip(split=split, label=label, method=method, **told, **_files(manifest, rows))


def _rows(manifest: Path) -> Iterator[dict[str, str]]:
    """The rows of a manifest as texts; a JSON manifest is a list of objects."""
    if manifest.suffix == ".csv":
        yield from listing.table(manifest, "path", "label")
        return
    for row in listing.parsed(manifest, list):
        if not isinstance(row, dict) or "path" not in row or "label" not in row:
            raise DataError(f"{manifest}: {row!r} must be an object with `path` and `label`")
        yield {key: "" if value is None else str(value) for key, value in row.items()}


def _files(manifest: Path, rows: list[dict[str, str]]) -> dict[str, Any]:
    """`path` or `images` of a clip's rows."""
    for row in rows:
        if Path(row["path"]).is_absolute() or ".." in Path(row["path"]).parts:
            raise DataError(f"{manifest}: {row['path']!r} must lie below the manifest's folder")
    if len(rows) == 1 and not rows[0].get("frame"):
        return _source(Path(rows[0]["path"]))
    try:
        return {"images": tuple((int(row["frame"]), row["path"]) for row in rows)}
    except (KeyError, ValueError) as error:
        name = rows[0].get("video_id") or rows[0]["path"]
        raise UsageError(
            f"{manifest}: several rows of {name} are its pictures; each needs a number `frame`"
        ) from error


def _source(name: Path) -> dict[str, Any]:
    """A video as `path`, a picture as a clip of one frame."""
    if name.suffix.lower() in media.SUFFIXES:
        return {"images": ((0, name.as_posix()),)}
    return {"path": name.as_posix()}
