"""The outlines that blends of whole faces draw from: variants of the hull, deformed, feathered."""

import cv2
import numpy as np

from iid_jax import geometry
from iid_jax.forgery import masks

# Lengths are drawn from this share of the longest upwards.
_LEAST_SHARE = 0.25
_PARTS = (
    (geometry.LEFT_BROW, geometry.LEFT_EYE),
    (geometry.RIGHT_BROW, geometry.RIGHT_EYE),
    (geometry.NOSE_BRIDGE, geometry.NOSTRILS),
    (geometry.MOUTH,),
)
# How far the outline of a part lies outside its landmarks, in lengths of the landmarks' box.
_AROUND = 0.08


def face(landmarks: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Returns the mask (H, W) of the face with its forehead."""
    return masks.face(size, landmarks)


def skin(landmarks: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Returns the mask (H, W) of the landmarks' hull, from the brows down."""
    return _hull(landmarks, size)


def lower(landmarks: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Returns the mask (H, W) of what lies below the eyes: cheeks, nose, mouth and chin."""
    jaw = landmarks[geometry.JAW][1:-1]
    return _hull(np.concatenate([jaw, landmarks[geometry.NOSE_BRIDGE]]), size)


def parts(landmarks: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Returns the mask (H, W) of eyes with brows, nose and mouth, each with skin around it."""
    total = np.zeros(size, np.float32)
    for slices in _PARTS:
        points = np.concatenate([landmarks[part] for part in slices])
        total = np.maximum(total, _hull(points, size))
    radius = max(round(_AROUND * float(np.ptp(landmarks, axis=0).max())), 1)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    grown = cv2.dilate(total.astype(np.uint8), disc)
    return grown * _hull(landmarks, size)


VARIANTS = {"face": face, "skin": skin, "lower": lower, "parts": parts}


def draw(
    landmarks: np.ndarray,
    size: tuple[int, int],
    rng: np.random.Generator,
    deform: float,
    feather: float,
) -> tuple[np.ndarray, dict[str, str | float]]:
    """Returns a deformed and feathered variant, float32 (H, W) in 0..1, and what was drawn.

    `deform` and `feather` are the longest lengths, in pixels of a canvas of 224. Half of the
    masks are drawn in by their feather, so that outside the outline hardly anything changes
    (weights up to 0.06).
    """
    name = list(VARIANTS)[rng.integers(len(VARIANTS))]
    unit = size[1] / geometry.PUBLISHED_CANVAS
    strength, width = (unit * x * rng.uniform(_LEAST_SHARE, 1.0) for x in (deform, feather))
    inwards = bool(rng.random() < 0.5)
    mask = masks.deform(VARIANTS[name](np.asarray(landmarks, np.float64), size), rng, strength)
    if inwards:
        side = 2 * max(round(width), 1) + 1
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
        levels = np.rint(255.0 * mask).astype(np.uint8)
        shrunk = cv2.erode(levels, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=255)
        # Where that leaves nothing, the outline stays as it is.
        inwards = bool(shrunk.max() > 127)
        mask = shrunk.astype(np.float32) / 255.0 if inwards else mask
    recipe = {"hull": name, "deform": strength, "feather": width, "inwards": inwards}
    return masks.feather(mask, width), recipe


def _hull(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return masks.polygon(cv2.convexHull(points.astype(np.float32))[:, 0], size)
