"""The base of the made data sets: genuine shots of people, and fakes made between the people.

A subclass says who there is and gives their shots; here the people are cast into roles, donors
are matched to targets, the manipulations applied, and genuine and fake shots stored alike.
"""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from iid_jax import geometry
from iid_jax.data import people, schema
from iid_jax.data.builder import FaceDatasetBuilder, Made
from iid_jax.errors import DataError, UsageError
from iid_jax.forgery.manipulations import MANIPULATIONS

VIDEO, PROBE = "video", "probe"


class Shot(NamedTuple):
    """One genuine picture of a person: RGB uint8 (H, W, 3) and landmarks (68, 2) in its pixels."""

    image: np.ndarray
    landmarks: np.ndarray
    detector_score: float = 1.0


class Task(NamedTuple):
    """One person in one split: whether the genuine shots are stored, and whose faces it gets.

    `candidates` holds for every manipulation the people of whom the nearest becomes the donor.
    """

    split: str
    person: str
    genuine: bool
    candidates: tuple[tuple[str, ...], ...] = ()


class MadeDatasetBuilder(FaceDatasetBuilder):
    """Casts people, makes fakes of every manipulation, and writes both labels the same way."""

    CANDIDATES = 1

    def names(self) -> list[str]:
        """Returns everybody there is, in a stable order."""
        raise NotImplementedError

    def shots(self, person: str, clip: str) -> Sequence[Shot]:
        """Returns a person's shots of one clip (`video` or `probe`), the same at every call."""
        raise NotImplementedError

    def publish(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Returns the picture as it reaches the public; both labels pass through here."""
        return image

    def rng(self, *words: str) -> np.random.Generator:
        """Returns the generator that belongs to these words under the data set's seed."""
        text = "/".join((str(self.settings.seed), self.name, *words))
        return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]))

    def plan(self) -> dict[str, list[Task]]:
        """Returns one task per person and split.

        Raises:
          UsageError: too few people for the roles.
        """
        config, names = self.builder_config, self.names()
        if len(names) < 12:
            raise UsageError(f"{self.name} needs at least 12 people, found {len(names)}")
        cast = people.cast(
            names, config.identity_gap, config.train_people, config.train_donors, self.rng("cast")
        )
        genuine, partners = set(cast.genuine), cast.partners
        train = [self._fakes("train", name, cast.donors, name in genuine) for name in cast.targets]
        train += [Task("train", name, True) for name in cast.genuine if name not in cast.targets]
        return {
            "train": train,
            "val": [self._fakes("val", name, cast.val, True) for name in cast.val],
            "test": [self._fakes("test", name, cast.test, True) for name in cast.test],
            "probe": [Task("probe", name, True) for name in cast.training],
            "partner": [Task("partner", name, True) for name in partners],
        }

    def make(self, task: Task) -> Made:
        """Returns the records of one person: the genuine shots, then every manipulation's."""
        clip = PROBE if task.split == "probe" else VIDEO
        shots = self.shots(task.person, clip)
        made = Made([], [])
        if task.genuine:
            made.records.extend(self._genuine(task, clip, i, shot) for i, shot in enumerate(shots))
        for method, candidates in zip(MANIPULATIONS, task.candidates, strict=False):
            self._fake(task, method, candidates, shots, made)
        return made

    def _fakes(self, split: str, person: str, donors: Sequence[str], genuine: bool) -> Task:
        others = [name for name in donors if name != person]
        rng = self.rng("donors", split, person)
        count = min(self.CANDIDATES, len(others))
        drawn = [rng.choice(len(others), count, replace=False) for _ in MANIPULATIONS]
        return Task(split, person, genuine, tuple(tuple(others[i] for i in d) for d in drawn))

    def _genuine(self, task: Task, clip: str, index: int, shot: Shot) -> schema.Record:
        video_id = f"{schema.ORIGINAL}/{task.person}_{clip}"
        return schema.make_record(
            self.publish(shot.image, self.rng("publish", video_id, str(index))),
            shot.landmarks,
            label=schema.REAL,
            method=schema.ORIGINAL,
            split=task.split,
            video_id=video_id,
            frame=index,
            identity=task.person,
            detector_score=shot.detector_score,
        )

    def _fake(
        self,
        task: Task,
        method: str,
        candidates: Sequence[str],
        shots: Sequence[Shot],
        made: Made,
    ) -> None:
        """Adds the fakes of one manipulation to `made`, or why a frame has none."""
        rng = self.rng("fake", method, task.person)
        clips = {name: self.shots(name, VIDEO) for name in candidates}
        donor = candidates[0]
        if len(candidates) > 1:
            donor = min(candidates, key=lambda name: distance(shots[0], clips[name]))
        video_id = f"{method}/{task.person}_{donor}"
        for index, shot in enumerate(shots):
            source = nearest_shot(shot, clips[donor])
            try:
                fake = MANIPULATIONS[method](
                    shot.image, shot.landmarks, source.image, source.landmarks, rng
                )
            except DataError as error:
                made.problems.append((f"{video_id}#{index}", "not_manipulated", str(error)))
                continue
            record = schema.make_record(
                self.publish(fake.image, self.rng("publish", video_id, str(index))),
                shot.landmarks,
                fake.mask,
                label=schema.FAKE,
                method=method,
                split=task.split,
                video_id=video_id,
                frame=index,
                identity=task.person,
                source_identity=donor,
                pristine_id=f"{schema.ORIGINAL}/{task.person}_{VIDEO}",
                detector_score=shot.detector_score,
            )
            made.records.append(record)


def distance(shot: Shot, others: Sequence[Shot]) -> float:
    """Returns how far the nearest of `others` is in pose (face sizes) and skin tone."""
    return min(_pose_distance(shot, other) + _tone_distance(shot, other) for other in others)


def nearest_shot(shot: Shot, others: Sequence[Shot]) -> Shot:
    """Returns the one of `others` whose face is turned most like that of `shot`."""
    return min(others, key=lambda other: _pose_distance(shot, other))


def _pose_distance(a: Shot, b: Shot) -> float:
    """How far the landmarks lie apart after the best similarity, in face sizes of `a`."""
    matrix = geometry.similarity(b.landmarks, a.landmarks)
    moved = geometry.transform_points(matrix, b.landmarks)
    return float(np.abs(moved - a.landmarks).mean() / np.ptp(a.landmarks, axis=0).max())


def _tone_distance(a: Shot, b: Shot) -> float:
    return float(np.abs(_tone(a) - _tone(b)).mean() / 255.0)


def _tone(shot: Shot) -> np.ndarray:
    x0, y0 = np.maximum(shot.landmarks[[36, 31]].min(0).astype(int), 0)
    x1, y1 = shot.landmarks[[45, 33]].max(0).astype(int) + 1
    patch = shot.image[y0:y1, x0:x1]
    return np.median(patch.reshape(-1, 3), axis=0) if patch.size else np.zeros(3)
