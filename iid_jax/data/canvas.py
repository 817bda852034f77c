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

    `matrix` (3, 3) takes pixels of the stored crop to pixels of the canvas, `from_frame` (3, 3)
    those of the frame that was cropped.
    """

    image: np.ndarray
    landmarks: np.ndarray
    matrix: np.ndarray
    from_frame: np.ndarray


def align(
    record: schema.Record,
    spec: CanvasSpec,
    jitter: Alignment | None = None,
    from_frame: np.ndarray | None = None,
) -> Canvas:
    """Returns the record on the canvas; without jitter the model's own alignment.

    `from_frame` (3, 3), from this record's frame pixels to the canvas, stands in place of an
    alignment by the record's landmarks: a pristine frame lies as its fake does.
    """
    pixels = record.pixels()
    size = pixels.shape[:2]
    to_crop = schema.crop_matrix(record.crop, size)
    if from_frame is None:
        matrix = _alignment(record.crop_landmarks(size), spec, jitter)
    else:
        matrix = from_frame @ np.linalg.inv(to_crop)
    image = geometry.warp(pixels, matrix, spec.size)
    landmarks = geometry.transform_points(matrix, record.crop_landmarks(size))
    return Canvas(image, landmarks.astype(np.float32), matrix, matrix @ to_crop)


def _alignment(landmarks: np.ndarray, spec: CanvasSpec, jitter: Alignment | None) -> np.ndarray:
    options: dict[str, Any] = {"scale": spec.scale}
    if jitter is not None:
        options = {
            "scale": jitter.scale,
            "translation": jitter.shift,
            "rotation": jitter.rotation,
            "stretch": jitter.stretch,
        }
    return geometry.alignment(landmarks, spec.size, face_width=spec.face_width, **options)


def true_mask(record: schema.Record, matrix: np.ndarray, size: int) -> np.ndarray | None:
    """Returns the manipulated area on the canvas, float32 (S, S) in 0..1; None if it is not known.

    `matrix` is that of the record's `Canvas`.
    """
    mask = record.mask_pixels()
    if mask is None:
        return None
    # Outside the stored crop nothing was manipulated: zero, not edge replication.
    return geometry.warp(mask, matrix, size, border=cv2.BORDER_CONSTANT)
