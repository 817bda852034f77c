"""photo_swaps: fakes between the people of any folder of photographs, `<person>/*.jpg`."""

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from iid_jax.data import album, base, decoders, made, photographs
from iid_jax.data.photographs import Photograph
from iid_jax.data.prepared import Problem
from iid_jax.faces.landmarks import DlibLandmarker
from iid_jax.progress import Progress

PER_PERSON = 20
# Of the photographs of a person in training, the share that only the split `probe` shows; of donors
# the half, where there are fewer of them than of targets: leak AUC rests on these alone.
PROBE_SHARE, FEW_DONORS_PROBE_SHARE = 0.25, 0.5

AUTOENCODER, SUFFIX = decoders.METHOD, f"_{decoders.METHOD}"

# (person, clip) -> {number of the file in the person's folder: its photograph}
Clips = dict[tuple[str, str], dict[int, Photograph]]


@dataclasses.dataclass(eq=False, kw_only=True)
class Config(base.PeopleConfig):
    """Who appears where, and whether faces painted by an autoencoder are among the fakes."""

    autoencoder: bool = False


class Builder(made.MadeDatasetBuilder):
    """Builds photo_swaps; identity gap, people and donors come from the configuration."""

    VERSION = tfds.core.Version("1.0.0")
    CANDIDATES = 12
    # Farther apart, a frontal face is stretched over a profile; about 1 in 200 over LFW.
    FARTHEST_POSE = 0.045
    # What finds the faces; pickled for the processes that examine.
    LANDMARKER = DlibLandmarker

    def __init__(self, **options: Any):
        self._autoencoders: dict[str, Any] = {}
        super().__init__(**options)

    @staticmethod
    def named_config(name: str) -> Config:
        """Returns the configuration called `name`: as of made sets, or with `_autoencoder`."""
        known = base.people_config(name.removesuffix(SUFFIX))
        values = known.identity_gap, known.train_people, known.train_donors
        people = dict(zip(("identity_gap", "train_people", "train_donors"), values, strict=True))
        return Config(name=name, autoencoder=name.endswith(SUFFIX), **people)

    def methods(self) -> tuple[str, ...]:
        """Returns the manipulations; the autoencoder's comes last and leaves the others alone."""
        return (*super().methods(), *([AUTOENCODER] if self.builder_config.autoencoder else []))

    def pool(self, method: str, split: str, donors: Sequence[str]) -> Sequence[str]:
        """Returns who can be a donor; of the autoencoder those with the most photographs."""
        if method != AUTOENCODER:
            return donors
        return decoders.most_seen({name: len(self._people[name]) for name in donors})

    def plan(self) -> dict[str, list[made.Task]]:
        """Examines the photographs, casts the people and divides the pictures of each."""
        self._people = self._examine()
        plan = super().plan()
        cast = self.cast()
        few = cast.donors if cast.few_donors else ()
        self._clips: Clips = {}
        for person in self._people:
            share = FEW_DONORS_PROBE_SHARE if person in few else PROBE_SHARE
            self._divide(person, share if person in cast.training else None)
        if self.builder_config.autoencoder:
            self._autoencoders = decoders.train(self, plan, self.quiet)
        return plan

    def manipulate(
        self,
        method: str,
        task: made.Task,
        shot: made.Shot,
        donor: str,
        source: made.Shot,
        rng: np.random.Generator,
    ) -> made.Manipulated:
        """Returns the target with the donor's face, by warps or by the split's autoencoder."""
        if method != AUTOENCODER:
            return super().manipulate(method, task, shot, donor, source, rng)
        target = self.image(task.person, made.VIDEO, shot)
        return self._autoencoders[task.split].swap(target, shot.landmarks, donor, rng)

    def names(self) -> list[str]:
        """Returns the people with a photograph that can be used."""
        return list(self._people)

    def shots(self, person: str, clip: str) -> list[made.Shot]:
        """Returns the photographs of a clip; a frame is the file's number in its folder."""
        return [
            made.Shot(number, p.landmarks, p.tone, p.score, p.faces, p.quality)
            for number, p in self._clips.get((person, clip), {}).items()
        ]

    def image(self, person: str, clip: str, shot: made.Shot) -> np.ndarray:
        """Returns the cut-out of a photograph, RGB uint8 (H, W, 3), at most 512 px a side."""
        return self._read(person, clip, shot.frame)

    def state(self) -> Any:
        """Returns the people's photographs by clip, and the splits' autoencoders."""
        return self._clips, self._autoencoders

    def adopt(self, state: Any) -> None:
        """Takes over what `state` returned."""
        self._clips, self._autoencoders = state

    def landmarker(self) -> str:
        """Returns the fingerprint of what found the landmarks."""
        return self.LANDMARKER().fingerprint

    # A photograph serves as target of four fakes and as donor of others; 0.2 to 0.8 MB each.
    @functools.lru_cache(maxsize=256)
    def _read(self, person: str, clip: str, number: int) -> np.ndarray:
        return photographs.read_cut(self._clips[person, clip][number])

    def _examine(self) -> dict[str, dict[int, Photograph]]:
        """What is usable of every person, {person: {number: photograph}}; the rest is noted."""
        self.landmarker()  # what is missing is said here, not in another process
        found, strays = photographs.people_of(Path(self.settings.source), self.settings.limit)
        chosen, surplus = album.choose(found, PER_PERSON, lambda name: self.rng("chosen", name))
        paths = [picture.path for picture in chosen]
        results = list(self._look_at(paths))
        usable = [
            (picture, result)
            for picture, result in zip(chosen, results, strict=True)
            if isinstance(result, Photograph)
        ]
        people, copies = album.without_copies(usable)
        refused = [result for result in results if not isinstance(result, Photograph)]
        self.problems += [*strays, *surplus, *refused, *copies]
        return people

    def _look_at(self, paths: list[Path]) -> Iterator[Photograph | Problem]:
        progress = Progress(len(paths), "examine photographs", "picture", self.quiet)
        for result in photographs.examine_all(paths, self.LANDMARKER, self.jobs):
            progress.update(1)
            yield result

    def _divide(self, person: str, probe_share: float | None) -> None:
        """Gives the person's photographs to the clips; who is not in training has no probe."""
        everything = self._people[person]
        self._clips[person, made.VIDEO] = everything
        if probe_share is not None:
            parts = album.divide(everything, probe_share, self.rng("probe", person))
            self._clips[person, made.VIDEO], self._clips[person, made.PROBE] = parts
            if len(everything) == 1:
                self.problems.append((person, "single", "one photograph: none left for probe"))
