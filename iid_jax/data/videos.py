"""The base of the video data sets: a subclass lists its clips, here they become records.

One task is one clip, with the clips it shares its frames with: the result depends on nothing else,
whatever was made before and in whichever process.
"""

import collections
import dataclasses
import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow_datasets as tfds

from iid_jax.data import base, clips, prepared, schema, workers
from iid_jax.data.base import Made
from iid_jax.data.clips import Clip
from iid_jax.errors import DataError, UsageError, nearest
from iid_jax.faces import choice, tracking, video
from iid_jax.faces.media import MediaError

FRAMES = 32
NAMED = 10
# Evaluation keeps what was published: of two copies of a file, training loses its own.
ORDER = ("test", "val", "probe", "train", "partner")


class Task(NamedTuple):
    """A clip, and all that give the same frames: a pristine video and its fakes."""

    clip: Clip
    group: tuple[Clip, ...]


class VideoDatasetBuilder(base.FaceDatasetBuilder, skip_registration=True):
    """Builds a data set of clips; subclasses give VERSION, NAMES and clips."""

    UNIT = "video"
    OPTIONS = ("frames", "landmarker", "max_bad")
    NAMES: tuple[str, ...] = ("default",)

    def __init__(self, **options: Any):
        self.bad: dict[str, str] = {}
        self.planned = 0
        self._seen: dict[str, str] = {}
        super().__init__(**options)

    @classmethod
    def named_config(cls, name: str) -> tfds.core.BuilderConfig:
        """Returns the configuration called `name`, one of NAMES."""
        if name not in cls.NAMES:
            raise UsageError(f"{cls.name} has no configuration {name!r}{nearest(name, cls.NAMES)}")
        return tfds.core.BuilderConfig(name=name)

    def clips(self) -> Iterable[Clip]:
        """Returns every clip that is there or should be; base notes the missing ones."""
        raise NotImplementedError

    @property
    def source(self) -> Path:
        """The folder as downloaded."""
        return Path(self.settings.source)

    @property
    def frames(self) -> int:
        """How many frames of each video are taken."""
        return self.settings.frames or FRAMES

    def landmarker(self) -> str:
        """Returns the fingerprint of what finds the landmarks."""
        return choice.choose(self.settings.landmarker or choice.DEFAULT).fingerprint

    def described(self) -> dict[str, Any]:
        """Returns seed, limit, source and frames, and the landmarker where one is named."""
        named = {"landmarker": self.landmarker()} if self.settings.landmarker else {}
        return {**super().described(), "frames": self.frames, **named}

    def plan(self) -> dict[str, list[Task]]:
        """Returns one task per clip that is there.

        Raises:
          UsageError: the folder holds no clip. DataError: more are missing than may be bad.
        """
        self.landmarker()  # what is missing is said here, not in another process
        listed = self._once(self.clips())
        if self.settings.limit:
            listed = _first(listed, self.settings.limit)
        self.planned = len(listed)
        there = [self._with_mask(clip) for clip in listed if self._is_there(clip)]
        if not there:
            raise UsageError(f"no video of {self.name} in {self.source}; {self._layout()}")
        self._refuse()
        paired = self._partners(there)
        groups = collections.defaultdict(list)
        for clip in paired:
            groups[clip.split, clip.pristine_id or clip.video_id].append(clip)
        tasks = [Task(c, tuple(groups[c.split, c.pristine_id or c.video_id])) for c in paired]
        return {split: [t for t in tasks if t.clip.split == split] for split in ORDER}

    def make(self, task: Task) -> Made:
        """Returns the records of one clip; a clip that cannot be used gives the reason."""
        try:
            return self._made(task)
        except MediaError as error:
            return Made([], [(task.clip.video_id, error.reason, str(error))])

    def died(self, task: Task) -> Made:
        """Returns that the clip is lost."""
        return Made([], [(task.clip.video_id, "crashed", workers.DIED)])

    def part(self, task: Task) -> str:
        """Returns a name that tells the clip, its group, their files and the settings."""
        files = {name for clip in (task.clip, *task.group) for name in clip.files()}
        masks = {task.clip.mask} - {""}
        stats = [(name, (self.source / name).stat()) for name in sorted(files | masks)]
        told = [
            [self.name, str(self.version), self.frames, self.landmarker()],
            [dataclasses.astuple(clip) for clip in (task.clip, *task.group)],
            [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats],
        ]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()

    def take(self, made: Made) -> list[schema.Record]:
        """Returns the records, without those of a file that another clip already gave."""
        records = super().take(made)
        if not records:
            item, status, _ = made.problems[-1]  # of the clip as a whole
            self.bad[item] = status
            return []
        video_id = records[0].video_id
        first = self._seen.setdefault(made.digest, video_id)
        if first != video_id:
            self.problems.append((video_id, "duplicate", f"same file as {first}; left out"))
            return []
        return records

    def finish(self) -> None:
        """Refuses a data set of which too many clips are bad, naming them."""
        self._refuse()

    def _refuse(self) -> None:
        percent = 100.0 * len(self.bad) / max(self.planned, 1)
        if percent <= self.settings.max_bad:
            return
        told = ", ".join(f"{item} ({status})" for item, status in list(self.bad.items())[:NAMED])
        more = f" and {len(self.bad) - NAMED} more" if len(self.bad) > NAMED else ""
        where = ""
        if self.parts is not None:
            self.parts.parent.mkdir(parents=True, exist_ok=True)
            prepared.write_report(self.parts.parent, self.problems)
            where = f"; {self.parts.parent / prepared.REPORT} lists all"
        raise DataError(
            f"{self.name}: {len(self.bad)} of {self.planned} videos ({percent:.1f} %) cannot be "
            f"used, more than --max_bad={self.settings.max_bad:g}: {told}{more}{where}"
        )

    def _once(self, listed: Iterable[Clip]) -> list[Clip]:
        """The clips in order, each video once."""
        found: dict[str, Clip] = {}
        for clip in listed:
            first = found.setdefault(clip.video_id, clip)
            if first is not clip:
                detail = f"{clip.path} besides {first.path}"
                self.problems.append((clip.video_id, "copy", detail))
        return list(found.values())

    def _is_there(self, clip: Clip) -> bool:
        missing = [name for name in clip.files() if not (self.source / name).is_file()]
        if clip.files() and not missing:
            return True
        self.bad[clip.video_id] = "missing"
        self.problems.append((clip.video_id, "missing", ", ".join(missing[:3]) or "no file"))
        return False

    def _with_mask(self, clip: Clip) -> Clip:
        """The clip, without its mask where that is missing."""
        if not clip.mask or (self.source / clip.mask).is_file():
            return clip
        self.problems.append((clip.video_id, "mask_missing", clip.mask))
        return dataclasses.replace(clip, mask="")

    def _partners(self, there: Sequence[Clip]) -> list[Clip]:
        """The clips, fakes without their pristine video in the same split unpaired and noted.

        A training fake must not draw a video of the test split into training.
        """
        split_of = {clip.video_id: clip.split for clip in there}
        paired = []
        for clip in there:
            split = split_of.get(clip.pristine_id)
            if clip.pristine_id and split != clip.split:
                status = "partner_missing" if split is None else "partner_elsewhere"
                detail = f"{clip.pristine_id} is " + (f"in {split}" if split else "not there")
                self.problems.append((clip.video_id, status, f"{detail}; kept as untouched"))
                clip = dataclasses.replace(clip, pristine_id="")
            paired.append(clip)
        return paired

    def _layout(self) -> str:
        return f"the layout is told in datasets/{self.name}/README.md"

    def _made(self, task: Task) -> Made:
        clip = task.clip
        indices = clips.wanted(clip, task.group, self.source, self.frames)
        made = Made([], [], clips.digest(clip, self.source))
        reader = clips.read(clip, self.source, indices)
        areas = self._areas(clip, indices, made)
        find = choice.choose(self.settings.landmarker or choice.DEFAULT)
        follower = tracking.Follower()
        for frame in reader:
            self._frame(clip, frame, find(frame.image), follower, areas, made)
        if not reader.decoded:
            return made._replace(problems=[(clip.video_id, "truncated", reader.summary)])
        if reader.lost:
            made.problems.append((clip.video_id, "frames_lost", reader.summary))
        if not made.records:
            made.problems.append((clip.video_id, "no_face", reader.summary))
        return made

    def _areas(self, clip: Clip, indices: Sequence[int], made: Made) -> dict[int, np.ndarray]:
        """The true masks by frame; a video of masks that cannot be read is a problem of its own."""
        try:
            areas = clips.masks(clip, self.source, indices)
        except MediaError as error:
            made.problems.append((f"{clip.video_id}#mask", "mask_" + error.reason, str(error)))
            return {}
        if clip.mask and len(areas) < len(indices):
            detail = f"{len(areas)} of {len(indices)} masks"
            made.problems.append((f"{clip.video_id}#mask", "masks_lost", detail))
        return areas

    def _frame(
        self,
        clip: Clip,
        frame: video.Frame,
        faces: list[Any],
        follower: tracking.Follower,
        areas: dict[int, np.ndarray],
        made: Made,
    ) -> None:
        """Adds the record of one frame to `made`, or why it has none."""
        item = f"{clip.video_id}#{frame.index}"
        mask = areas.get(frame.index)
        if mask is not None and (mask := clips.fitted(mask, frame.image.shape[:2])) is None:
            made.problems.append((item, "mask_of_other_shape", ""))
        chosen = follower.choose(faces, mask)
        if chosen is None:
            made.problems.append((item, "frame_no_face", ""))
            return
        face, moved = chosen
        try:
            record = schema.make_record(
                frame.image,
                face.landmarks,
                mask,
                label=clip.label,
                method=clip.method,
                split=clip.split,
                video_id=clip.video_id,
                frame=frame.index,
                time=frame.time,
                identity=clip.identity,
                source_identity=clip.source_identity,
                pristine_id=clip.pristine_id,
                compression=clip.compression,
                faces=len(faces),
                detector_score=face.score,
                quality=",".join(tracking.flags(face, len(faces), moved)),
            )
        except DataError as error:
            made.problems.append((item, "face_outside", str(error)))
            return
        made.records.append(record)


def _first(listed: Sequence[Clip], limit: int) -> list[Clip]:
    """At most `limit` clips of each split, a pristine video followed by its fakes."""
    groups = collections.defaultdict(list)
    for clip in sorted(listed, key=lambda clip: clip.label):
        groups[clip.split, clip.pristine_id or clip.video_id].append(clip)
    kept: dict[str, list[Clip]] = collections.defaultdict(list)
    for (split, _), group in groups.items():
        kept[split] += group[: limit - len(kept[split])]
    return [clip for group in kept.values() for clip in group]
