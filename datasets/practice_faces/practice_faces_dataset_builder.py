"""practice_faces: drawn people, and fakes made between them; needs nothing but this package."""

import functools

import numpy as np
import tensorflow_datasets as tfds

from iid_jax.data import made
from iid_jax.faces import drawn

PEOPLE = 620
FRAMES = {made.VIDEO: 4, made.PROBE: 3}


class Builder(made.MadeDatasetBuilder):
    """Builds practice_faces; identity gap, people and donors come from the configuration."""

    VERSION = tfds.core.Version("1.0.0")
    NEEDS_SOURCE = False

    def names(self) -> list[str]:
        """Returns the people's numbers; `--limit` draws fewer of them."""
        return [f"p{i:04d}" for i in range(min(PEOPLE, self.settings.limit or PEOPLE))]

    def shots(self, person: str, clip: str) -> list[made.Shot]:
        """Returns the shots of one drawn clip of a person."""
        drawings = self._draw(person, clip)
        return [made.Shot(i, drawing.landmarks) for i, drawing in enumerate(drawings)]

    def image(self, person: str, clip: str, shot: made.Shot) -> np.ndarray:
        """Returns the drawing of a shot, RGB uint8 (192, 192, 3)."""
        return self._draw(person, clip)[shot.frame].image

    def landmarker(self) -> str:
        """Returns that the landmarks are the drawing's own."""
        return "drawn/1"

    # A clip is drawn once although it serves as target and, several times, as donor; 0.4 MB each.
    @functools.lru_cache(maxsize=512)
    def _draw(self, person: str, clip: str) -> list[drawn.Shot]:
        """One clip of a person: one scene, several poses and expressions."""
        somebody = drawn.draw_person(self.rng("person", person))
        return drawn.draw_video(somebody, self.rng("clip", person, clip), FRAMES[clip])
