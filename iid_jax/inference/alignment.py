"""A face in a picture, on the canvas that a detector sees, by the path that records take.

What a detector learns includes how its pictures were made: cut inside padding, shrunk to 512 px,
encoded once as JPEG, aligned with the edge repeated. A picture to be judged goes the same way.
"""

from typing import NamedTuple

import numpy as np

from iid_jax import geometry
from iid_jax.data import canvas, photographs, schema
from iid_jax.data.canvas import CanvasSpec
from iid_jax.errors import DataError
from iid_jax.inference.prediction import OUTSIDE, PADDED, TOO_SMALL

# The longer side of the landmarks' box, pixels: half of what data sets flag as tiny.
LEAST = 20.0


class Placed(NamedTuple):
    """A canvas, RGB uint8 (S, S, 3), and the matrix (3, 3) from pixels of the picture to it."""

    image: np.ndarray
    matrix: np.ndarray


def place(
    picture: np.ndarray, landmarks: np.ndarray, spec: CanvasSpec, padding: bool = True
) -> Placed | str:
    """Returns the face with these landmarks (68, 2) on the canvas, or the status that says why not.

    `picture` is RGB uint8 (H, W, 3). With `padding` it is first cut inside black padding, as
    photographs are; frames of videos are not. Statuses: too_small, face_outside, padded_face.
    """
    status = _refusal(picture, landmarks)
    if status:
        return status
    to_cut = np.eye(3)
    if padding:
        window = photographs.cut_window(picture, landmarks)
        if window is None:
            return PADDED
        scale = photographs.cut_scale(window)
        picture = photographs.cut(picture, window, scale)
        landmarks = photographs.to_cut(landmarks, window, scale)
        to_cut = geometry.cut_matrix(window[:2], (scale, scale))
    columns = {"label": schema.REAL, "method": "", "split": "", "video_id": "", "identity": ""}
    try:
        record = schema.make_record(picture, landmarks, frame=0, **columns)
        aligned = canvas.align(record, spec)
    except DataError:
        return OUTSIDE
    return Placed(aligned.image, aligned.from_frame @ to_cut)


def on_picture(
    boxes: np.ndarray, matrix: np.ndarray, canvas_size: int, size: tuple[int, int]
) -> np.ndarray:
    """Returns boxes (K, 4), 0..1 of the canvas, in pixels of the picture of `size` (height, width).

    The upright box around each turned one, clipped to the picture: without area where it lies
    outside.
    """
    corners = boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 2) * canvas_size - 0.5
    points = geometry.transform_points(np.linalg.inv(matrix), corners) + 0.5
    points = points.reshape(-1, 4, 2)
    found = np.concatenate([points.min(axis=1), points.max(axis=1)], axis=1)
    return np.clip(found, 0, (size[1], size[0]) * 2)


def _refusal(picture: np.ndarray, landmarks: np.ndarray) -> str | None:
    low, high = landmarks.min(axis=0), landmarks.max(axis=0)
    height, width = picture.shape[:2]
    if (high < 0).any() or (low > (width - 1, height - 1)).any():
        return OUTSIDE
    return TOO_SMALL if (high - low).max() < LEAST else None
