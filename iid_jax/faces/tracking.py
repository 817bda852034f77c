"""Which of a frame's faces is the video's: the largest at first, then the one that overlaps it."""

from collections.abc import Sequence

import numpy as np

from iid_jax import geometry
from iid_jax.faces.landmarks import Face

# Below this overlap with the face before, it is another place or another person.
LEAST_OVERLAP = 0.1
# The longer side of the landmarks' box, pixels.
TINY = 40.0
# The nose tip's distance from between the eyes, along them, in eye distances.
PROFILE = 0.25


class Follower:
    """Follows one face through the frames of a video; called once a frame, in order.

    Where the manipulated area of a frame is known, the face with most of it is the one: in some
    videos not every face is forged.
    """

    def __init__(self):
        self._box: np.ndarray | None = None

    def choose(
        self, faces: Sequence[Face], mask: np.ndarray | None = None
    ) -> tuple[Face, bool] | None:
        """Returns the face and whether it was found anew; None where there are no faces.

        `mask` is (H, W), above 0 where the frame is manipulated. A face is found anew when none
        overlaps the one before.
        """
        if not faces:
            return None
        before = self._box
        face = self._nearest(faces, mask)
        moved = before is not None and overlap(before, face.box) < LEAST_OVERLAP
        self._box = face.box
        return face, moved

    def _nearest(self, faces: Sequence[Face], mask: np.ndarray | None) -> Face:
        if mask is not None:
            forged = [_inside(mask, face.box) for face in faces]
            if max(forged) > 0:
                return faces[int(np.argmax(forged))]
        if self._box is not None:
            overlaps = [overlap(self._box, face.box) for face in faces]
            if max(overlaps) >= LEAST_OVERLAP:
                return faces[int(np.argmax(overlaps))]
        return max(faces, key=lambda face: _area(face.box))


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Returns the intersection over union of two boxes (x0, y0, x1, y1)."""
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    shared = float(np.prod(np.maximum(high - low, 0.0)))
    whole = _area(a) + _area(b) - shared
    return shared / whole if whole > 0 else 0.0


def flags(face: Face, faces: int, moved: bool = False) -> list[str]:
    """Returns what makes a face doubtful: tiny (< 40 px), profile, several, moved."""
    raised = {
        "tiny": np.ptp(face.landmarks, axis=0).max() < TINY,
        "profile": abs(sideways(face.landmarks)) > PROFILE,
        "several": faces > 1,
        "moved": moved,
    }
    return [name for name, is_raised in raised.items() if is_raised]


def sideways(landmarks: np.ndarray) -> float:
    """Returns how far the nose tip lies off the middle of the eyes, in eye distances, signed."""
    left, right, nose = geometry.five_points(landmarks)[:3]
    eyes = np.linalg.norm(right - left)
    return float(np.dot(nose - (left + right) / 2, right - left) / max(eyes, 1e-6) ** 2)


def _area(box: np.ndarray) -> float:
    return float((box[2] - box[0]) * (box[3] - box[1]))


def _inside(mask: np.ndarray, box: np.ndarray) -> float:
    height, width = mask.shape
    x0, y0, x1, y1 = np.clip(box, 0, (width, height, width, height)).astype(int)
    return float((mask[y0:y1, x0:x1] > 0).sum())
