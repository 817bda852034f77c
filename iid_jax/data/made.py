"""The base of the made data sets: genuine shots of people, and fakes made between the people.

A subclass says who there is and gives their shots; here the people are cast into roles, donors
are matched to targets, the manipulations applied, and genuine and fake shots stored alike.
"""

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from iid_jax.data import people, schema
from iid_jax.data.base import FaceDatasetBuilder, Made
from iid_jax.errors import DataError, UsageError
from iid_jax.forgery.manipulations import MANIPULATIONS, Manipulated

VIDEO, PROBE = "video", "probe"
# Between photographs of different people, tones spread about five times as widely as poses.
TONE_WEIGHT = 0.2


class Shot(NamedTuple):
    """One genuine picture of a person without its pixels: what donors are chosen by, and columns.

    `landmarks` (68, 2) in the picture's pixels, `tone` (3,) RGB 0..255 the skin's; `frame` its
    number in the clip.
    """

    frame: int
    landmarks: np.ndarray
    tone: np.ndarray = np.zeros(3)
    detector_score: float = 1.0
    faces: int = 1
    quality: str = ""


class Task(NamedTuple):
    """One person in one split: whether the genuine shots are stored, and whose faces it gets.

    `candidates` holds for every manipulation the people of whom the likest becomes the donor.
    """

    split: str
    person: str
    genuine: bool
    candidates: tuple[tuple[str, ...], ...] = ()


class MadeDatasetBuilder(FaceDatasetBuilder):
    """Casts people, makes fakes of every manipulation, and writes both labels the same way."""

    # Of so many people, drawn for each target and manipulation, the likest is the donor. Of many of
    # few donors it would be the same two or three for nearly every target.
    CANDIDATES, CANDIDATES_OF_FEW = 1, 2
    # A face turned farther from the donor's than this (face sizes, see `pose_distance`) is no fake.
    FARTHEST_POSE = np.inf

    def names(self) -> list[str]:
        """Returns everybody there is, in a stable order."""
        raise NotImplementedError

    def shots(self, person: str, clip: str) -> Sequence[Shot]:
        """Returns a person's shots of one clip (`video` or `probe`), the same at every call."""
        raise NotImplementedError

    def image(self, person: str, clip: str, shot: Shot) -> np.ndarray:
        """Returns the pixels of a shot, RGB uint8 (H, W, 3)."""
        raise NotImplementedError

    def publish(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Returns the picture as it reaches the public; both labels pass through here."""
        return image

    def rng(self, *words: str) -> np.random.Generator:
        """Returns the generator that belongs to these words under the data set's seed."""
        text = "/".join((str(self.settings.seed), self.name, *words))
        return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]))

    def methods(self) -> tuple[str, ...]:
        """Returns the names of the manipulations that are made, in a stable order."""
        return tuple(MANIPULATIONS)

    def pool(self, method: str, split: str, donors: Sequence[str]) -> Sequence[str]:
        """Returns those of a split's donors who can be the donors of a manipulation."""
        return donors

    def manipulate(
        self,
        method: str,
        task: Task,
        shot: Shot,
        donor: str,
        source: Shot,
        rng: np.random.Generator,
    ) -> Manipulated:
        """Returns the shot of the task's person with the face of the donor's `source`.

        Raises:
          DataError: the poses are too far apart, or the result cannot be told from the target.
        """
        apart = pose_distance(shot, source)
        if apart > self.FARTHEST_POSE:
            raise DataError(
                f"the donor's pose is {apart:.3f} face sizes away, allowed: {self.FARTHEST_POSE}"
            )
        target, face = self.image(task.person, VIDEO, shot), self.image(donor, VIDEO, source)
        return MANIPULATIONS[method](target, shot.landmarks, face, source.landmarks, rng)

    def cast(self) -> people.Cast:
        """Returns who has which role, the same at every call.

        Raises:
          UsageError: too few people for the roles.
        """
        config, names = self.builder_config, self.names()
        if len(names) < 12:
            raise UsageError(f"{self.name} needs at least 12 people, found {len(names)}")
        dial = config.identity_gap, config.train_people, config.train_donors
        return people.cast(names, *dial, self.rng("cast"))

    def plan(self) -> dict[str, list[Task]]:
        """Returns one task per person and split.

        Raises:
          UsageError: too few people for the roles.
        """
        cast = self.cast()
        most = min(self.CANDIDATES, self.CANDIDATES_OF_FEW) if cast.few_donors else self.CANDIDATES
        train = self._fakes("train", cast.targets, cast.donors, cast.genuine, most)
        train += [Task("train", name, True) for name in cast.genuine if name not in cast.targets]
        return {
            "train": train,
            "val": self._fakes("val", cast.val, cast.val, cast.val, self.CANDIDATES),
            "test": self._fakes("test", cast.test, cast.test, cast.test, self.CANDIDATES),
            "probe": [Task("probe", name, True) for name in cast.training],
            "partner": [Task("partner", name, True) for name in cast.partners],
        }

    def make(self, task: Task) -> Made:
        """Returns the records of one person: the genuine shots, then every manipulation's."""
        clip = PROBE if task.split == "probe" else VIDEO
        made = Made([], [])
        if task.genuine:
            shots = self.shots(task.person, clip)
            made.records.extend(self._genuine(task, clip, shot) for shot in shots)
        for method, candidates in zip(self.methods(), task.candidates, strict=False):
            self._video(task, method, candidates, made)
        return made

    def _fakes(
        self,
        split: str,
        targets: Sequence[str],
        donors: Sequence[str],
        genuine: Sequence[str],
        most: int,
    ) -> list[Task]:
        """One task a target; of `most` donors, drawn for each manipulation, one is to be taken."""
        tasks = []
        for person in targets:
            rng, candidates = self.rng("donors", split, person), []
            for method in self.methods():
                others = [name for name in self.pool(method, split, donors) if name != person]
                drawn = rng.choice(len(others), min(most, len(others)), replace=False)
                candidates.append(tuple(others[i] for i in drawn))
            tasks.append(Task(split, person, person in genuine, tuple(candidates)))
        return tasks

    def _genuine(self, task: Task, clip: str, shot: Shot) -> schema.Record:
        return self._record(
            shot,
            self.image(task.person, clip, shot),
            label=schema.REAL,
            method=schema.ORIGINAL,
            split=task.split,
            video_id=f"{schema.ORIGINAL}/{task.person}_{clip}",
            identity=task.person,
        )

    def _video(self, task: Task, method: str, candidates: Sequence[str], made: Made) -> None:
        """Adds the fakes of one manipulation to `made`, or why a frame has none."""
        rng = self.rng("fake", method, task.person)
        shots = self.shots(task.person, VIDEO)
        clips = {name: self.shots(name, VIDEO) for name in candidates}
        donor = candidates[0]
        if len(candidates) > 1:
            donor = min(candidates, key=lambda name: distance(shots, clips[name]))
        video_id = f"{method}/{task.person}_{donor}"
        for shot in shots:
            try:
                source = likest_shot(shot, clips[donor])
                fake = self.manipulate(method, task, shot, donor, source, rng)
            except DataError as error:
                item = f"{video_id}#{shot.frame}"
                made.problems.append((item, "not_manipulated", str(error)))
                continue
            record = self._record(
                shot,
                fake.image,
                fake.mask,
                label=schema.FAKE,
                method=method,
                split=task.split,
                video_id=video_id,
                identity=task.person,
                source_identity=donor,
                pristine_id=f"{schema.ORIGINAL}/{task.person}_{VIDEO}",
            )
            made.records.append(record)

    def _record(
        self, shot: Shot, picture: np.ndarray, mask: np.ndarray | None = None, **columns: Any
    ) -> schema.Record:
        rng = self.rng("publish", columns["video_id"], str(shot.frame))
        return schema.make_record(
            self.publish(picture, rng),
            shot.landmarks,
            mask,
            frame=shot.frame,
            faces=shot.faces,
            detector_score=shot.detector_score,
            quality=shot.quality,
            **columns,
        )


def distance(shots: Sequence[Shot], others: Sequence[Shot]) -> float:
    """Returns how unlike `others` are to `shots`: the mean over `shots` to the likest of them."""
    return float(np.mean([unlikeness(shot, likest_shot(shot, others)) for shot in shots]))


def likest_shot(shot: Shot, others: Sequence[Shot]) -> Shot:
    """Returns the one of `others` whose face is most like that of `shot` in pose and tone."""
    return min(others, key=lambda other: unlikeness(shot, other))


def unlikeness(a: Shot, b: Shot) -> float:
    """Returns the distance of pose plus the weighted distance of skin tone."""
    return pose_distance(a, b) + TONE_WEIGHT * tone_distance(a, b)


def pose_distance(a: Shot, b: Shot) -> float:
    """Returns how far the landmarks lie apart after the best similarity, in face sizes of `a`."""
    wanted, moved = _centred(a.landmarks), _centred(b.landmarks)
    # As complex numbers, the best similarity (geometry.similarity) is one factor.
    moved = moved * (np.vdot(moved, wanted) / np.vdot(moved, moved).real)
    apart = np.abs((moved - wanted).view(np.float64)).mean()
    return float(apart / np.ptp(a.landmarks, axis=0).max())


def tone_distance(a: Shot, b: Shot) -> float:
    """Returns how far the skin's colours lie apart, the mean over the channels, 0..1."""
    return float(np.abs(a.tone - b.tone).mean() / 255.0)


def _centred(landmarks: np.ndarray) -> np.ndarray:
    """The landmarks as complex numbers around their mean, (68,) complex128."""
    points = np.ascontiguousarray(landmarks, np.float64).view(np.complex128)[:, 0]
    return points - points.mean()
