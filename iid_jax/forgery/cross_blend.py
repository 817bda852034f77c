"""Blended images across people: one face over another whose landmarks are the nearest.

After "Face X-ray for More General Face Forgery Detection" (Li et al., CVPR 2020), as PCL with
inconsistency image generation (Zhao et al., ICCV 2021) makes its training pairs: a deformed hull,
the donor's colours moved to the target's, a soft edge. `Forgery.boundary` is the X-ray.
"""

import numpy as np

from iid_jax import geometry
from iid_jax.config import CrossBlendConfig
from iid_jax.forgery import blend, generator, hulls, masks
from iid_jax.forgery.generator import WHOLE, Forgery

_ATTEMPTS = 4


class Generator(generator.Generator):
    """Blends `manipulated`, another person's genuine picture, over the genuine one.

    The donor's landmarks, the first of two, are taken to the target's by a similarity. Recipe:
    hull, deform, feather, inwards, colour (share of the colour transfer), difference (grey levels
    inside the mask), redraws.
    """

    source = "people"

    def forge(self, genuine, manipulated, faces, rng) -> Forgery | None:
        settings: CrossBlendConfig = self.settings
        donor = genuine if settings.null else _onto(genuine, manipulated, faces)
        for redraws in range(_ATTEMPTS):
            area, recipe = hulls.draw(
                faces[-1], genuine.shape[:2], rng, settings.deform, settings.feather
            )
            colour = float(rng.uniform(*settings.colour))
            face = donor if settings.null else blend.match_colours(donor, genuine, area, colour)
            image = blend.alpha(genuine, face, area)
            difference = masks.grey_difference(genuine, image, area)
            box = masks.tight_box(area)
            if box is None or (difference < settings.min_difference and not settings.null):
                continue
            recipe |= {"colour": colour, "difference": difference, "redraws": redraws}
            return Forgery(image, np.array([WHOLE, box], np.float32), area, recipe)
        return None


def _onto(genuine: np.ndarray, donor: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """The donor's picture with its landmarks moved, turned and scaled to the genuine's."""
    if len(faces) != 2:
        raise ValueError("a blend across people needs the landmarks of both, donor first")
    return geometry.warp(donor, geometry.similarity(*faces), len(genuine))


def nearest(landmarks: np.ndarray, others: np.ndarray) -> int:
    """Returns which of `others` (N, 68, 2) has the shape nearest to `landmarks` (68, 2).

    Both as `normalised` gives them; Euclidean distance over all points.
    """
    return int(((others - landmarks) ** 2).sum(axis=(1, 2)).argmin())


def normalised(landmarks: np.ndarray) -> np.ndarray:
    """Returns landmarks (..., 68, 2) with their mean at 0 and a mean squared distance of 1."""
    centred = landmarks - landmarks.mean(axis=-2, keepdims=True)
    spread = np.sqrt((centred**2).sum(axis=-1, keepdims=True).mean(axis=-2, keepdims=True))
    return (centred / np.maximum(spread, 1e-6)).astype(np.float32)
