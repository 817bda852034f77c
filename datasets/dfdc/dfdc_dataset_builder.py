"""dfdc: the Deepfake Detection Challenge: training parts, and the validation and test releases."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from iid_jax.data import clips, listing, schema, videos
from iid_jax.data.clips import Clip
from iid_jax.errors import DataError, UsageError

METHOD = "DFDC"
METADATA, LABELS = "metadata.json", "labels.csv"
# Of the training originals, those kept where the validation release was not downloaded.
VAL_SHARE = 0.05
LABEL = {"REAL": schema.REAL, "FAKE": schema.FAKE}
SPLIT = {"test": "test", "validation": "val", "valid": "val", "val": "val"}


class Builder(videos.VideoDatasetBuilder):
    """Builds dfdc from every metadata.json and labels.csv below the folder."""

    VERSION = tfds.core.Version("1.0.0")
    PUBLISHED = {  # noqa: RUF012
        "default": {
            ("test", schema.ORIGINAL): 2500,
            ("test", METHOD): 2500,
            # Every training part, with what is held out of them; and with the validation release.
            ("train+val", schema.ORIGINAL): (19_154, 19_154 + 2000),
            ("train+val", METHOD): (100_000, 100_000 + 2000),
        }
    }

    def clips(self) -> list[Clip]:
        """Returns the listed clips; a training fake belongs to its `original`.

        Raises:
          UsageError: no list is there. DataError: a list that says something else.
        """
        lists = sorted(p for name in (METADATA, LABELS) for p in self.source.rglob(name))
        listed = [clip for path in lists for clip in self._listed(path, lists)]
        if not listed:
            raise UsageError(f"no {METADATA} and no {LABELS} in {self.source}; {self._layout()}")
        if any(clip.split == "val" for clip in listed):
            return listed
        return clips.hold_out(listed, VAL_SHARE, self.settings.seed)

    def _listed(self, path: Path, lists: list[Path]) -> Iterator[Clip]:
        """The clips of one list; they lie beside it, or in `videos/`."""
        if path.name == LABELS:
            rows = listing.table(path, "filename", "label")
            labels = {row["filename"]: self._label(path, row["label"]) for row in rows}
            originals: dict[str, str] = {}
        else:
            if path.with_name(LABELS) in lists:
                return  # the test release tells its labels in both
            entries = listing.parsed(path)
            labels = {name: self._label(path, entry) for name, entry in entries.items()}
            originals = {name: e.get("original") or "" for name, e in entries.items()}
        folder = path.parent / "videos" if (path.parent / "videos").is_dir() else path.parent
        place = folder.relative_to(self.source).as_posix()
        split = self._split(path)
        for name, label in labels.items():
            fake = label == schema.FAKE
            yield Clip(
                video_id=f"{split}/{_stem(name)}",
                split=split,
                label=label,
                method=METHOD if fake else schema.ORIGINAL,
                path=f"{place}/{name}" if place != "." else name,
                pristine_id=f"{split}/{_stem(originals[name])}" if originals.get(name) else "",
            )

    def _label(self, path: Path, entry: Any) -> int:
        """0 or 1 of REAL, FAKE, `is_fake` or labels.csv's number, whose 1 is fake."""
        told = entry
        if isinstance(entry, dict):
            told = entry.get("label", entry.get("is_fake"))
        label = LABEL.get(str(told).upper(), {"0": schema.REAL, "1": schema.FAKE}.get(str(told)))
        if label is None:
            raise DataError(f"{path}: label {told!r}; allowed: REAL, FAKE, 0 for real, 1 for fake")
        return label

    def _split(self, path: Path) -> str:
        """The split that a folder's name tells; whatever has no such name is training."""
        names = path.relative_to(self.source).parent.parts or (self.source.name,)
        found = [SPLIT[name.lower()] for name in names if name.lower() in SPLIT]
        return found[0] if found else "train"


def _stem(name: str) -> str:
    return name.rpartition(".")[0] or name
