"""dfdc_preview: the preview of the Deepfake Detection Challenge, with its published split."""

import re
from pathlib import PurePosixPath

import tensorflow_datasets as tfds

from iid_jax.data import clips, listing, schema, videos
from iid_jax.data.clips import Clip
from iid_jax.errors import DataError, UsageError

LIST, ORIGINALS = "dataset.json", "original_videos"
VAL_SHARE = 0.08
# <donor>_<target>_<scene>_<clip> of a fake, without the donor of an original.
_FAKE = re.compile(r"^(\d+)_(\d+)_([A-Z]+_\d+)$")


class Builder(videos.VideoDatasetBuilder):
    """Builds dfdc_preview from dataset.json."""

    VERSION = tfds.core.Version("1.0.0")
    PUBLISHED = {  # noqa: RUF012
        "default": {("all", schema.ORIGINAL): 1131, ("all", "fakes"): 4113}
    }

    SHARED_PEOPLE = "donors of the people held out for validation are in training"

    def clips(self) -> list[Clip]:
        """Returns the listed clips; of the training people some are held out for validation.

        Raises:
          UsageError: the list is missing. DataError: an entry of it says something else.
        """
        path = listing.first_file(self.source, LIST, f"dfdc_preview_set/{LIST}")
        if path is None:
            raise UsageError(f"{self.source / LIST} is missing; {self._layout()}")
        entries = listing.parsed(path)
        by_name = {PurePosixPath(n).stem: n for n in entries if n.startswith(ORIGINALS)}
        place = path.parent.relative_to(self.source)
        listed = [
            self._clip(path, name, entry, place.as_posix(), by_name)
            for name, entry in entries.items()
        ]
        return clips.hold_out(listed, VAL_SHARE, self.settings.seed)

    def _clip(self, path, name: str, entry: dict, place: str, originals: dict[str, str]) -> Clip:
        label, split = entry.get("label"), entry.get("set")
        if label not in ("real", "fake") or split not in ("train", "test"):
            raise DataError(f"{path}: {name} has label {label!r} and set {split!r}")
        common = {
            "video_id": name.rpartition(".")[0],
            "split": split,
            "path": name if place == "." else f"{place}/{name}",
            "identity": str(entry.get("target_id") or ""),
            # What was done to test clips: less resolution, frame rate or quality.
            "compression": ",".join(entry.get("augmentations") or []),
        }
        if label == "real":
            return Clip(**common)
        match = _FAKE.match(PurePosixPath(name).stem)
        original = originals.get(f"{match[2]}_{match[3]}", "") if match else ""
        return Clip(
            **common,
            label=schema.FAKE,
            method=name.partition("/")[0],
            source_identity=str(entry.get("swapped_id") or ""),
            pristine_id=original.rpartition(".")[0],
        )
