"""From a stored record to the aligned canvas that a detector sees."""

from typing import Any, NamedTuple, Protocol

import cv2
import numpy as np

from iid_jax import geometry
from iid_jax.data import schema
from iid_jax.data.augment import Alignment


class CanvasSpec(Protocol):
    """What a model says of its input: the canvas's side and the face on it (pixels of `size`)."""

    size: int
    face_width: float
    scale: float


class Canvas(NamedTuple):
    """An aligned picture, RGB uint8 (S, S, 3), and its landmarks (68, 2) on the canvas.

    `matrix` (3, 3) takes pixels of the stored crop to pixels of the canvas.
    """

    image: np.ndarray
    landmarks: np.ndarray
    matrix: np.ndarray


def align(
    record: schema.Record,
    spec: CanvasSpec,
    jitter: Alignment | None = None,
    landmarks: np.ndarray | None = None,
) -> Canvas:
    """Returns the record on the canvas; without jitter the model's own alignment.

    `landmarks` (68, 2), in this record's frame pixels, steer the alignment in place of the
    record's own: a pristine frame is aligned by its fake's.
    """
    pixels = record.pixels()
    size = pixels.shape[:2]
    steering = record.landmarks if landmarks is None else landmarks
    options: dict[str, Any] = {"scale": spec.scale}
    if jitter is not None:
        options = {
            "scale": jitter.scale,
            "translation": jitter.shift,
            "rotation": jitter.rotation,
            "stretch": jitter.stretch,
        }
    on_crop = schema.to_crop(steering, record.crop, size)
    matrix = geometry.alignment(on_crop, spec.size, face_width=spec.face_width, **options)
    image = geometry.warp(pixels, matrix, spec.size)
    own = on_crop if landmarks is None else record.crop_landmarks(size)
    own = geometry.transform_points(matrix, own)
    return Canvas(image, own.astype(np.float32), matrix)


def true_mask(record: schema.Record, matrix: np.ndarray, size: int) -> np.ndarray | None:
    """Returns the manipulated area on the canvas, float32 (S, S) in 0..1; None if it is not known.

    `matrix` is that of the record's `Canvas`.
    """
    mask = record.mask_pixels()
    if mask is None:
        return None
    # Outside the stored crop nothing was manipulated: zero, not edge replication.
    return geometry.warp(mask, matrix, size, border=cv2.BORDER_CONSTANT)
