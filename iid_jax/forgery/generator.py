"""What every generator of fakes takes and gives; each is a file of this room, called as in configs.

A new one is `iid_jax/forgery/<name>.py` with a class `Generator`, and `<name>` in
`config.Forger` with a group of settings of that name in `config.DataConfig`.
"""

import abc
import dataclasses
import importlib
from typing import Any, ClassVar, Literal

import numpy as np

from iid_jax.config import DataConfig

WHOLE = (0.0, 0.0, 1.0, 1.0)
# What a generator starts from: a fake and its pristine frame, one genuine picture, or two people's.
Source = Literal["fake", "self", "people"]


@dataclasses.dataclass(frozen=True)
class Forgery:
    """A fake whose manipulated area is known.

    `image` uint8 (S, S, 3); `boxes` float32 (K, 4) in 0..1, the whole canvas first, then the
    partial area's; `mask` float32 (S, S) in 0..1, or None where the generator does not know it;
    `recipe` what was drawn, plain values; `genuine` uint8 (S, S, 3) the background, where it is
    not the genuine picture that was given.
    """

    image: np.ndarray
    boxes: np.ndarray
    mask: np.ndarray | None
    recipe: dict[str, Any]
    genuine: np.ndarray | None = None

    @property
    def boundary(self) -> np.ndarray | None:
        """Where the two pictures meet: 4 m (1 - m), float32 (S, S) (Li et al., Face X-ray)."""
        return None if self.mask is None else 4.0 * self.mask * (1.0 - self.mask)


class Generator(abc.ABC):
    """Makes fakes on aligned canvases; `settings` is the config's group of the same name."""

    source: ClassVar[Source]

    def __init__(self, settings: Any):
        self.settings = settings

    def __call__(
        self,
        genuine: np.ndarray,
        manipulated: np.ndarray | None,
        landmarks: np.ndarray,
        rng: np.random.Generator,
        **options: str,
    ) -> Forgery | None:
        """Returns a fake of `genuine`, uint8 (S, S, 3), or None where nothing visible came of it.

        `manipulated` is what `source` says, under the same alignment. `landmarks` (68, 2), or
        (2, 68, 2) of the manipulated and then of the genuine face, are in canvas pixels. The
        recipe holds the generator's state before the draw: see `redraw`.
        """
        state = rng.bit_generator.state
        forged = self.forge(genuine, manipulated, _faces(landmarks), rng, **options)
        if forged is None:
            return None
        recipe = {**forged.recipe, "options": options, "state": state}
        return dataclasses.replace(forged, recipe=recipe)

    @abc.abstractmethod
    def forge(
        self,
        genuine: np.ndarray,
        manipulated: np.ndarray | None,
        faces: np.ndarray,
        rng: np.random.Generator,
        **options: str,
    ) -> Forgery | None:
        """Makes the fake; `faces` is (1, 68, 2) or (2, 68, 2)."""

    def redraw(
        self,
        recipe: dict[str, Any],
        genuine: np.ndarray,
        manipulated: np.ndarray | None,
        landmarks: np.ndarray,
    ) -> Forgery | None:
        """Returns the fake of a recipe again, bit for bit, from the same pictures."""
        rng = np.random.default_rng()
        rng.bit_generator.state = recipe["state"]
        return self(genuine, manipulated, landmarks, rng, **recipe["options"])


def create(name: str, config: DataConfig) -> Generator:
    """Returns the generator of a name in `config.Forger`, with the config's settings for it."""
    module = importlib.import_module(f"iid_jax.forgery.{name}")
    return module.Generator(getattr(config, name))


def _faces(landmarks: np.ndarray) -> np.ndarray:
    faces = np.asarray(landmarks)
    if faces.shape[-2:] != (68, 2) or faces.size not in (136, 272):
        raise ValueError(f"landmarks must be (68, 2) or (2, 68, 2), got {faces.shape}")
    return faces.reshape(-1, 68, 2)
