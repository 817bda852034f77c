"""lfw: Labeled Faces in the Wild, photographs of known people for the identity probe."""

from collections.abc import Sequence

import tensorflow_datasets as tfds

from iid_jax.data import clips, photographs, schema, videos
from iid_jax.data.base import Made
from iid_jax.data.clips import Clip
from iid_jax.data.photographs import Photograph
from iid_jax.faces import choice

FOLDERS = ("lfw-deepfunneled", "lfw_funneled", "lfw-funneled", "lfw")
# More than anybody has.
ALL = 1000


class Builder(videos.VideoDatasetBuilder):
    """Builds lfw: a person is a clip, its photographs the frames; all is genuine, split test."""

    VERSION = tfds.core.Version("1.0.0")
    PUBLISHED = {"default": {("test", schema.ORIGINAL): 5749}}  # noqa: RUF012

    @property
    def frames(self) -> int:
        """How many photographs of each person are taken, all by default."""
        return self.settings.frames or ALL

    def clips(self) -> list[Clip]:
        """Returns one clip per person."""
        inner = next((self.source / f for f in FOLDERS if (self.source / f).is_dir()), self.source)
        people, strays = photographs.people_of(inner)
        self.problems += strays
        return [
            Clip(
                video_id=f"{schema.ORIGINAL}/{person}",
                split="test",
                images=tuple(
                    (number, path.relative_to(self.source).as_posix())
                    for number, path in enumerate(paths)
                ),
                identity=person,
            )
            for person, paths in people.items()
        ]

    def _made(self, task: videos.Task) -> Made:
        clip = task.clip
        chosen = clips.evenly(clips.lengths(clip, self.source), self.frames).tolist()
        made = Made([], [], clips.digest(clip, self.source))
        find = choice.choose(self.settings.landmarker or choice.DEFAULT)
        paths = dict(clip.images)
        for index in chosen:
            found = photographs.examine(self.source / paths[index], find)
            if isinstance(found, Photograph):
                made.records.append(self._record(clip, index, found))
            else:
                item, status, detail = found
                made.problems.append((f"{clip.video_id}#{item}", status, detail))
        if not made.records:
            made.problems.append((clip.video_id, "no_photograph", self._why(made.problems)))
        return made

    def _record(self, clip: Clip, index: int, photograph: Photograph) -> schema.Record:
        return schema.make_record(
            photographs.read_cut(photograph),
            photograph.landmarks,
            label=schema.REAL,
            method=schema.ORIGINAL,
            split=clip.split,
            video_id=clip.video_id,
            frame=index,
            identity=clip.identity,
            faces=photograph.faces,
            detector_score=photograph.score,
            quality=photograph.quality,
        )

    @staticmethod
    def _why(problems: Sequence[tuple[str, str, str]]) -> str:
        return ", ".join(sorted({status for _, status, _ in problems}))
