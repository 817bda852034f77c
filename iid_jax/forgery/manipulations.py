"""The manipulations of the made data sets, steered by landmarks, for drawn faces and photographs.

Four that differ in kind as those of FaceForensics++ do: `affine_swap` pastes a warped face with a
feathered edge, `resynthesis` leaves the low resolution of an autoencoder, `expression` warps mouth
and eyes and pastes nothing, `poisson_swap` blends gradients. None of their pixels outside the
returned mask differ from the target's.
"""

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np
from scipy import spatial

from iid_jax import geometry
from iid_jax.forgery import blend, masks

# A fake must differ from its target by so many grey levels inside the mask on average.
MIN_DIFFERENCE = 2.0
ATTEMPTS = 4


class Manipulated(NamedTuple):
    """A fake, RGB uint8 (H, W, 3), and where it was changed, float32 (H, W) in 0..1."""

    image: np.ndarray
    mask: np.ndarray


Manipulation = Callable[
    [np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.random.Generator], Manipulated
]


def affine_swap(target, target_landmarks, donor, donor_landmarks, rng) -> Manipulated:
    """Returns the donor's face, warped triangle by triangle, colour-corrected, edge feathered."""
    size = _face_size(target_landmarks)
    face = _warp(donor, donor_landmarks, target, target_landmarks)
    mask = _face_mask(target, target_landmarks, rng, feather=rng.uniform(0.02, 0.07) * size)
    face = _match_colours(face, target, mask, rng.uniform(0.4, 0.95))
    return Manipulated(blend.alpha(target, face, mask), mask)


def resynthesis(target, target_landmarks, donor, donor_landmarks, rng) -> Manipulated:
    """Returns the donor's face as an autoencoder of 32 to 64 px restores it, in the target's tones."""
    size = _face_size(target_landmarks)
    face = _warp(donor, donor_landmarks, target, target_landmarks)
    mask = _face_mask(target, target_landmarks, rng, feather=rng.uniform(0.06, 0.14) * size)
    x, y, width, height = cv2.boundingRect((mask > 0).astype(np.uint8))
    resolution = rng.uniform(32, 64)
    small = max(round(resolution * width / max(width, height)), 4), max(
        round(resolution * height / max(width, height)), 4
    )
    part = face[y : y + height, x : x + width]
    code = cv2.resize(part, small, interpolation=cv2.INTER_AREA)
    # What a decoder cannot know it averages: a little blur at the code's own resolution.
    code = cv2.GaussianBlur(code, (5, 5), rng.uniform(0.4, 0.8))
    restored = face.copy()
    restored[y : y + height, x : x + width] = cv2.resize(
        code, (width, height), interpolation=cv2.INTER_CUBIC
    )
    restored = _match_colours(restored, target, mask, rng.uniform(0.8, 1.0))
    return Manipulated(blend.alpha(target, restored, mask), mask)


def poisson_swap(target, target_landmarks, donor, donor_landmarks, rng) -> Manipulated:
    """Returns the donor's gradients in the target's colours (Pérez et al. 2003)."""
    size = _face_size(target_landmarks)
    face = _warp(donor, donor_landmarks, target, target_landmarks)
    mask = _face_mask(target, target_landmarks, rng, feather=rng.uniform(0.01, 0.04) * size)
    return Manipulated(blend.poisson(target, face, mask).image, mask)


def expression(target, target_landmarks, donor, donor_landmarks, rng) -> Manipulated:
    """Returns the target with its mouth and eyes moved as the donor's; a warp, nothing is pasted."""
    points = np.asarray(target_landmarks, np.float64)
    matrix = geometry.similarity(
        geometry.five_points(donor_landmarks), geometry.five_points(target_landmarks)
    )
    wanted = geometry.transform_points(matrix, donor_landmarks)
    moved = np.zeros_like(points)
    for part in (geometry.MOUTH, geometry.LEFT_EYE, geometry.RIGHT_EYE):
        # Only the part's own shape changes: where it sits belongs to the person.
        shift = wanted[part] - wanted[part].mean(axis=0)
        moved[part] = shift - (points[part] - points[part].mean(axis=0))
    size = _face_size(target_landmarks)
    longest = np.linalg.norm(moved, axis=1).max()
    reach = rng.uniform(0.06, 0.13) * size
    moved *= reach / max(longest, 1e-6)
    field, weight = _field(points, moved, target.shape[:2], 0.09 * size)
    rows, columns = np.indices(target.shape[:2], dtype=np.float32)
    x, y = columns - field[..., 0], rows - field[..., 1]
    image = cv2.remap(target, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return Manipulated(np.where(weight[..., None] > 0, image, target), weight)


_BY_NAME: dict[str, Manipulation] = {
    "affine_swap": affine_swap,
    "resynthesis": resynthesis,
    "expression": expression,
    "poisson_swap": poisson_swap,
}


def _with_floor(manipulation: Manipulation) -> Manipulation:
    """Draws the manipulation again while its result hardly differs from the target."""

    def visible(target, target_landmarks, donor, donor_landmarks, rng) -> Manipulated:
        best, most = None, -1.0
        for _ in range(ATTEMPTS):
            made = manipulation(target, target_landmarks, donor, donor_landmarks, rng)
            seen = difference(target, made)
            if seen > most:
                best, most = made, seen
            if most >= MIN_DIFFERENCE:
                break
        return best

    visible.__doc__ = manipulation.__doc__
    return visible


MANIPULATIONS: dict[str, Manipulation] = {n: _with_floor(f) for n, f in _BY_NAME.items()}


def difference(target: np.ndarray, made: Manipulated) -> float:
    """Returns the mean absolute difference in grey levels where the mask is at least 0.5."""
    inside = made.mask >= 0.5
    if not inside.any():
        return 0.0
    return float(np.abs(made.image[inside].astype(np.int16) - target[inside]).mean())


def _face_size(landmarks: np.ndarray) -> float:
    return float(np.ptp(landmarks, axis=0).max())


def _outline(landmarks: np.ndarray) -> np.ndarray:
    """Landmarks and the forehead's points, (81, 2): what is warped."""
    return np.concatenate([np.asarray(landmarks, np.float64), geometry.forehead(landmarks)])


def _warp(donor, donor_landmarks, target, target_landmarks) -> np.ndarray:
    """The donor's face in the target's geometry, uint8; piecewise affine inside the hull."""
    source, wanted = _outline(donor_landmarks), _outline(target_landmarks)
    height, width = target.shape[:2]
    triangles = spatial.Delaunay(wanted).simplices
    index = np.full((height, width), -1, np.int32)
    for number, corners in enumerate(triangles):
        cv2.fillConvexPoly(index, np.rint(wanted[corners]).astype(np.int32), int(number))
    ones = np.ones((len(triangles), 3, 1))
    # Each triangle's affine map from target to donor: [x y 1] of three corners, solved at once.
    lifted = np.concatenate([wanted[triangles], ones], axis=2)
    matrices = np.linalg.solve(lifted + 1e-9 * np.eye(3), source[triangles]).astype(np.float32)
    rows, columns = np.nonzero(index >= 0)
    chosen = matrices[index[rows, columns]]
    place = np.stack([columns, rows, np.ones_like(rows)], 1).astype(np.float32)
    found = np.einsum("nk,nkd->nd", place, chosen)
    x, y = np.zeros((2, height, width), np.float32)
    x[rows, columns], y[rows, columns] = found.T
    face = cv2.remap(donor, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.where((index >= 0)[..., None], face, target)


def _face_mask(target, landmarks, rng: np.random.Generator, feather: float) -> np.ndarray:
    """The face's hull up to somewhere on the forehead, drawn in by the feather, then feathered."""
    brows = np.asarray(landmarks, np.float64)[geometry.BROWS]
    top = geometry.forehead(landmarks)
    height = rng.uniform(0.15, 0.8)
    middle = brows.mean(axis=0)
    lowered = middle + (top - middle) * (height, height)
    inside = np.concatenate([np.asarray(landmarks, np.float64), lowered]).astype(np.float32)
    hull = masks.polygon(cv2.convexHull(inside)[:, 0], target.shape[:2])
    radius = max(int(np.ceil(feather)), 1)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    drawn_in = cv2.erode(hull, kernel)
    return masks.feather(drawn_in, feather) * hull


def _match_colours(face, target, mask: np.ndarray, strength: float) -> np.ndarray:
    """The face with mean and spread of each channel moved towards the target's inside the mask."""
    inside = mask > 0.5
    if not inside.any():
        return face
    own, wanted = face[inside].astype(np.float32), target[inside].astype(np.float32)
    gain = np.clip(wanted.std(0) / np.maximum(own.std(0), 1.0), 0.5, 2.0)
    matched = (face.astype(np.float32) - own.mean(0)) * gain + wanted.mean(0)
    mixed = face + np.float32(strength) * (matched - face)
    return np.clip(np.rint(mixed), 0, 255).astype(np.uint8)


def _field(
    points: np.ndarray, moved: np.ndarray, size: tuple[int, int], spread: float
) -> tuple[np.ndarray, np.ndarray]:
    """A smooth displacement (H, W, 2) through the moved points, and where it is felt, 0..1."""
    strength = np.linalg.norm(moved, axis=1)
    used = np.r_[geometry.MOUTH, geometry.LEFT_EYE, geometry.RIGHT_EYE]
    low = np.maximum(np.floor(points[used].min(0) - 3 * spread), 0).astype(int)
    high = np.ceil(points[used].max(0) + 3 * spread).astype(int) + 1
    high = np.minimum(high, size[::-1])
    x, y = np.meshgrid(np.arange(low[0], high[0]), np.arange(low[1], high[1]))
    away = (x[..., None] - points[used, 0]) ** 2 + (y[..., None] - points[used, 1]) ** 2
    near = np.exp(-away / (2 * spread**2)).astype(np.float32)
    total = near.sum(-1, keepdims=True)
    # Shepard's mean of the displacements, faded out where no moved point is near.
    mean = near @ moved[used].astype(np.float32) / np.maximum(total, 1e-6)
    fade = np.clip(near.max(-1) * 1.3 - 0.3, 0.0, 1.0)
    field = np.zeros((*size, 2), np.float32)
    field[low[1] : high[1], low[0] : high[0]] = mean * fade[..., None]
    length = np.linalg.norm(field, axis=2)
    weight = np.clip(length / max(0.25 * strength.max(), 1e-6), 0.0, 1.0).astype(np.float32)
    # Displacements under a fiftieth of a pixel change nothing that remap would resolve.
    weight[length < 0.02] = 0.0
    return field, weight
