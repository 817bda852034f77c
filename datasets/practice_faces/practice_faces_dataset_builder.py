"""practice_faces: drawn people, and fakes made between them; needs nothing but this package."""

import functools

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

    # A clip is drawn once although it serves as target and, several times, as donor; 0.4 MB each.
    @functools.lru_cache(maxsize=512)
    def shots(self, person: str, clip: str) -> list[made.Shot]:
        """Returns one drawn clip of a person: one scene, several poses and expressions."""
        somebody = drawn.draw_person(self.rng("person", person))
        video = drawn.draw_video(somebody, self.rng("clip", person, clip), FRAMES[clip])
        return [made.Shot(shot.image, shot.landmarks) for shot in video]

    def landmarker(self) -> str:
        """Returns that the landmarks are the drawing's own."""
        return "drawn/1"
