"""Annotated pictures: faces with their scores, and where artifacts were seen on them."""

import cv2
import numpy as np

from iid_jax import plots
from iid_jax.inference.prediction import Frame, Prediction

# Pictures and the frames of a video are drawn at most so large, pixels.
PICTURE_SIDE, FRAME_SIDE = 1280, 360
# Frames shown of a video: at least half as many where there are so many.
FRAMES = 16

Drawn = tuple[Frame, np.ndarray, list[plots.Found]]


class Drawing:
    """Collects what is to be drawn of one file; call it with each frame and its picture.

    Of a video's frames every n-th is kept, n growing with their number.
    """

    def __init__(self, is_video: bool):
        self._video, self._count, self._stride = is_video, 0, 1
        self._kept: list[Drawn] = []

    def __call__(self, frame: Frame, picture: np.ndarray) -> None:
        """Keeps the frame, or leaves it out."""
        if self._count % self._stride == 0:
            side = FRAME_SIDE if self._video else PICTURE_SIDE
            scale = min(1.0, side / max(picture.shape[:2]))
            small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            self._kept.append((frame, small, _faces(frame, scale, brief=self._video)))
            if len(self._kept) > FRAMES:
                self._kept, self._stride = self._kept[::2], 2 * self._stride
        self._count += 1

    def png(self, prediction: Prediction) -> bytes | None:
        """Returns the drawing as the bytes of a PNG file; None where there is nothing to draw."""
        if not self._kept:
            return None
        if not self._video:
            _, picture, faces = self._kept[0]
            return plots.png(plots.detection(picture, faces))
        times = [frame.time for frame in prediction.frames]
        scores = [frame.score for frame in prediction.frames]
        frames = [(_title(frame), picture, faces) for frame, picture, faces in self._kept]
        return plots.png(plots.footage(times, scores, frames))


def _faces(frame: Frame, scale: float, brief: bool) -> list[plots.Found]:
    return [
        plots.Found(
            [v * scale for v in face.box],
            _text(face.score, face.status, brief),
            [([v * scale for v in a.box], a.score) for a in face.artifacts],
        )
        for face in frame.faces
    ]


def _text(score: float | None, status: str, brief: bool) -> str:
    if score is None:
        return status
    return f"{score:.2f}" if brief else f"P(fake) {score:.2f}"


def _title(frame: Frame) -> str:
    said = frame.status if frame.score is None else f"P(fake) {frame.score:.2f}"
    return f"frame {frame.index}, {frame.time:.2f} s: {said}"
