"""celeb_df: Celeb-DF version 1 and 2, with the published list of testing videos."""

import dataclasses
import re
from collections.abc import Iterator

import tensorflow_datasets as tfds

from iid_jax.data import clips, listing, schema, videos
from iid_jax.data.clips import Clip
from iid_jax.errors import DataError, UsageError

LIST = "List_of_testing_videos.txt"
REAL_FOLDERS, FAKE_FOLDER = ("Celeb-real", "YouTube-real"), "Celeb-synthesis"
# Of the training people, those kept for the validation that was not published.
VAL_SHARE = 0.08
_CELEBRITY = re.compile(r"^(id\d+)_(\d+)$")
_FAKE = re.compile(r"^(id\d+)_(id\d+)_(\d+)$")


class Builder(videos.VideoDatasetBuilder):
    """Builds celeb_df; the configuration is the version, v1 or v2."""

    VERSION = tfds.core.Version("1.0.0")
    NAMES = ("v1", "v2")
    PUBLISHED = {  # noqa: RUF012
        "v1": {("all", "original"): 158 + 250, ("all", FAKE_FOLDER): 795},
        "v2": {
            ("all", "original"): 590 + 300,
            ("all", FAKE_FOLDER): 5639,
            ("test", "original"): 108 + 70,
            ("test", FAKE_FOLDER): 340,
        },
    }
    SHARED_PEOPLE = "the published list takes test videos of people who are in training"

    def clips(self) -> list[Clip]:
        """Returns the listed testing videos, and all others as training and validation.

        Raises:
          UsageError: the list is missing. DataError: a line of it contradicts its folder.
        """
        tested = self._tested()
        found = {clip.video_id: clip for clip in self._found()}
        for video_id in tested:
            if video_id not in found:
                found[video_id] = self._clip(video_id, f"{video_id}.mp4")
        split = [
            dataclasses.replace(clip, split="test" if clip.video_id in tested else "train")
            for clip in found.values()
        ]
        return clips.hold_out(split, VAL_SHARE, self.settings.seed)

    def _found(self) -> Iterator[Clip]:
        for name in (*REAL_FOLDERS, FAKE_FOLDER):
            place = listing.folder(self.source, name)
            if place is None:
                continue
            paths, strays = listing.videos(self.source, place)
            self.problems += strays
            yield from (self._clip(f"{name}/{path.stem}", path.as_posix()) for path in paths)

    def _clip(self, video_id: str, path: str) -> Clip:
        """The clip of `<folder>/<name>`; `idA_idB_N` is made from `idA_N`."""
        folder, _, name = video_id.partition("/")
        if folder != FAKE_FOLDER:
            person = _CELEBRITY.match(name)
            # Who is in YouTube-real was not published.
            identity = person[1] if person else ""
            return Clip(video_id=video_id, split="train", path=path, identity=identity)
        match = _FAKE.match(name)
        if match is None:
            raise DataError(f"{path}: a fake is called idA_idB_N, as in id0_id1_0000.mp4")
        target, donor, number = match.groups()
        return Clip(
            video_id=video_id,
            split="train",
            label=schema.FAKE,
            method=FAKE_FOLDER,
            path=path,
            identity=target,
            source_identity=donor,
            pristine_id=f"{REAL_FOLDERS[0]}/{target}_{number}",
        )

    def _tested(self) -> set[str]:
        """The video ids of the published list, whose 1 means real; it has no header."""
        path = listing.first_file(self.source, LIST)
        if path is None:
            raise UsageError(f"{self.source / LIST} is missing; it comes with the data set")
        canonical = {name.lower(): name for name in (*REAL_FOLDERS, FAKE_FOLDER)}
        tested = set()
        for line in listing.lines(path):
            real, _, name = line.partition(" ")
            folder, _, file = name.strip().replace("\\", "/").partition("/")
            folder = canonical.get(folder.lower(), "")
            if not folder or (real == "1") != (folder != FAKE_FOLDER) or real not in ("0", "1"):
                raise DataError(
                    f"{path}: {line!r}; a line is `1 YouTube-real/00170.mp4`, 1 for real and 0 "
                    "for fake"
                )
            tested.add(f"{folder}/{file.rpartition('.')[0]}")
        return tested
