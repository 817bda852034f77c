"""The manipulations of the made data sets, steered by landmarks, for drawn faces and photographs.

Four that differ in kind as those of FaceForensics++ do: `affine_swap` pastes a warped face with a
feathered edge, `resynthesis` leaves the low resolution of an autoencoder, `expression` warps mouth
and eyes through a soft texture and pastes nothing, `poisson_swap` blends gradients. How strong
their traces are is drawn at random, from plain to subtle; none is invisible. Where the mask is 0
the target is untouched.
"""

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

from iid_jax import geometry
from iid_jax.errors import DataError
from iid_jax.forgery import blend, masks, warps

# A fake must differ from its target by so many grey levels inside the mask on average.
MIN_DIFFERENCE = 2.0
# Redrawn at growing strength while it does not.
ATTEMPTS = 4
# The least resolution of the autoencoder's face and the share of the face's own it reaches.
CODE = (22.0, 34.0)
# Deviation of the Gaussian that makes a neural renderer's texture, in face sizes.
TEXTURE = (0.01, 0.026)


class Manipulated(NamedTuple):
    """A fake, RGB uint8 (H, W, 3), and where it was changed, float32 (H, W) in 0..1."""

    image: np.ndarray
    mask: np.ndarray


Manipulation = Callable[
    [np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.random.Generator], Manipulated
]
# The target's part around its face, both faces' landmarks in their parts, and a push of 0..1 that
# moves what is drawn towards plainer traces.
_Maker = Callable[[warps.Pair, np.random.Generator, float], Manipulated]


def _affine_swap(pair: warps.Pair, rng: np.random.Generator, push: float) -> Manipulated:
    """Returns the donor's face, warped triangle by triangle, colour-corrected, edge feathered."""
    mask = _face_mask(pair, rng, feather=rng.uniform(0.015, 0.06) * (1.0 - 0.7 * push))
    face = warps.piecewise_affine(pair)
    face = blend.match_colours(face, pair.target, mask, rng.uniform(0.3, 0.9) * (1.0 - push))
    return Manipulated(blend.alpha(pair.target, face, mask), mask)


def _resynthesis(pair: warps.Pair, rng: np.random.Generator, push: float) -> Manipulated:
    """Returns the donor's face as an autoencoder's few pixels restore it, in the target's tones."""
    mask = _face_mask(pair, rng, feather=rng.uniform(0.06, 0.14))
    face = _through_code(warps.piecewise_affine(pair), mask, rng, push)
    face = blend.match_colours(face, pair.target, mask, rng.uniform(0.85, 1.0))
    return Manipulated(blend.alpha(pair.target, face, mask), mask)


def _poisson_swap(pair: warps.Pair, rng: np.random.Generator, push: float) -> Manipulated:
    """Returns the donor's gradients in the target's colours (Pérez et al. 2003)."""
    mask = _face_mask(pair, rng, feather=rng.uniform(0.01, 0.05) * (1.0 - 0.7 * push))
    blended = blend.poisson(pair.target, warps.piecewise_affine(pair), mask)
    return Manipulated(blended.image, mask)


def _expression(pair: warps.Pair, rng: np.random.Generator, push: float) -> Manipulated:
    """Returns the target with mouth and eyes moved as the donor's; a warp, nothing is pasted.

    What moves is rendered from a texture coarser than the picture, as a neural renderer's is.
    """
    points = pair.target_landmarks
    matrix = geometry.similarity(
        geometry.five_points(pair.donor_landmarks), geometry.five_points(points)
    )
    wanted = geometry.transform_points(matrix, pair.donor_landmarks)
    moved = np.zeros_like(points)
    for part in (geometry.MOUTH, geometry.LEFT_EYE, geometry.RIGHT_EYE):
        # Only the part's own shape changes: where it sits belongs to the person.
        moved[part] = wanted[part] - wanted[part].mean(0) - (points[part] - points[part].mean(0))
    longest = max(float(np.linalg.norm(moved, axis=1).max()), 1e-6)
    reach = rng.uniform(0.05, 0.1) * (1.0 + 0.5 * push) * pair.size
    field, mask = warps.displacement(points, moved * (reach / longest), pair.target.shape[:2])
    # On a turned face an eye is close to the edge: what is behind the head does not move with it.
    inside = _inside(pair, cv2.convexHull(points.astype(np.float32))[:, 0], 0.03 * pair.size)
    field, mask = field * inside[..., None], mask * inside
    image = warps.displace(pair.target, field, mask, rng.uniform(*TEXTURE) * pair.size)
    return Manipulated(np.where(mask[..., None] > 0, image, pair.target), mask)


def _manipulation(make: _Maker) -> Manipulation:
    """The maker on whole pictures: on the face's part only, redrawn while hardly visible."""

    def manipulate(target, target_landmarks, donor, donor_landmarks, rng) -> Manipulated:
        pair, (x0, y0, x1, y1) = warps.around_face(target, target_landmarks, donor, donor_landmarks)
        seen = -1.0
        for attempt in range(ATTEMPTS):
            made = make(pair, rng, attempt / (ATTEMPTS - 1))
            seen = difference(pair.target, made)
            if seen >= MIN_DIFFERENCE:
                break
        else:
            raise DataError(
                f"a manipulation changes its target by {seen:.1f} grey levels, at least "
                f"{MIN_DIFFERENCE} are needed: target and donor are the same picture, or flat"
            )
        image, mask = target.copy(), np.zeros(target.shape[:2], np.float32)
        image[y0:y1, x0:x1], mask[y0:y1, x0:x1] = made
        return Manipulated(image, mask)

    manipulate.__doc__ = make.__doc__
    return manipulate


# Called with target (H, W, 3) RGB uint8, its landmarks (68, 2), the donor and its landmarks, and a
# generator. Raises DataError where the result cannot be told from the target.
MANIPULATIONS: dict[str, Manipulation] = {
    "affine_swap": _manipulation(_affine_swap),
    "resynthesis": _manipulation(_resynthesis),
    "expression": _manipulation(_expression),
    "poisson_swap": _manipulation(_poisson_swap),
}


def difference(target: np.ndarray, made: Manipulated) -> float:
    """Returns the mean absolute difference in grey levels where the mask is at least 0.5."""
    inside = made.mask >= 0.5
    if not inside.any():
        return 0.0
    return float(np.abs(made.image[inside].astype(np.int16) - target[inside]).mean())


def _face_mask(pair: warps.Pair, rng: np.random.Generator, feather: float) -> np.ndarray:
    """The face's hull up to somewhere on the forehead, its edge feathered inwards.

    `feather` is in face sizes.
    """
    points = pair.target_landmarks
    brows = points[geometry.BROWS].mean(axis=0)
    lowered = brows + (geometry.forehead(points) - brows) * rng.uniform(0.25, 0.8)
    hull = cv2.convexHull(np.concatenate([points, lowered]).astype(np.float32))[:, 0]
    return _inside(pair, hull, max(feather * pair.size, 0.75))


def _inside(pair: warps.Pair, hull: np.ndarray, width: float) -> np.ndarray:
    """The hull (K, 2) drawn in by its feather, `width` px, so that none of it leaves the face."""
    middle = hull.mean(axis=0)
    drawn_in = middle + (hull - middle) * (1.0 - 2.0 * width / pair.size)
    mask = masks.feather(masks.polygon(drawn_in, pair.target.shape[:2]), width)
    return np.minimum(mask, 1.0)


def _through_code(
    face: np.ndarray, mask: np.ndarray, rng: np.random.Generator, push: float
) -> np.ndarray:
    """The face reduced to an autoencoder's resolution and restored."""
    x, y, width, height = cv2.boundingRect((mask > 0).astype(np.uint8))
    longest = max(width, height)
    # An autoencoder of a fixed size loses more of a large face than of a small one.
    least, most = CODE[0], max(CODE[1], min(0.55 * longest, 64.0))
    scale = min(rng.uniform(least, most - push * (most - least)) / longest, 0.6)
    small = (max(round(width * scale), 4), max(round(height * scale), 4))
    part = face[y : y + height, x : x + width]
    code = cv2.resize(part, small, interpolation=cv2.INTER_AREA)
    restored = face.copy()
    restored[y : y + height, x : x + width] = cv2.resize(
        code, (width, height), interpolation=cv2.INTER_CUBIC
    )
    return restored
