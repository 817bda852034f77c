"""Moving one face into another's geometry, and mouth and eyes within one face."""

from typing import NamedTuple

import cv2
import numpy as np
from scipy import spatial

from iid_jax import geometry

# Around the landmarks' box, in face sizes: forehead, feather and what Poisson blending looks at.
ROOM_ABOVE, ROOM = 0.55, 0.2
# How far from a landmark, in face sizes, mouth and eyes pull the skin along.
PULL = 0.072
_MOVING = np.r_[geometry.MOUTH, geometry.LEFT_EYE, geometry.RIGHT_EYE]


class Pair(NamedTuple):
    """A target and a donor, RGB uint8 (H, W, 3), with landmarks (68, 2) float64 in their pixels.

    `size` is the longer side of the target's landmark box.
    """

    target: np.ndarray
    target_landmarks: np.ndarray
    donor: np.ndarray
    donor_landmarks: np.ndarray
    size: float


def around_face(
    target: np.ndarray, target_landmarks: np.ndarray, donor: np.ndarray, donor_landmarks: np.ndarray
) -> tuple[Pair, tuple[int, int, int, int]]:
    """Returns the pair with the target cut to its face, and the cut (x0, y0, x1, y1)."""
    points = np.asarray(target_landmarks, np.float64)
    size = float(np.ptp(points, axis=0).max())
    cloud = np.concatenate([points, geometry.forehead(points)])
    low, high = np.floor(cloud.min(0) - ROOM * size), np.ceil(cloud.max(0) + ROOM * size)
    x0, y0 = (int(v) for v in np.clip(low, 0, None))
    x1, y1 = (int(v) for v in np.minimum(high + 1, target.shape[1::-1]))
    part = np.ascontiguousarray(target[y0:y1, x0:x1])
    donor_points = np.asarray(donor_landmarks, np.float64)
    return Pair(part, points - (x0, y0), donor, donor_points, size), (x0, y0, x1, y1)


def piecewise_affine(pair: Pair) -> np.ndarray:
    """Returns the donor in the target's geometry, uint8 (H, W, 3) of the target's size.

    One affine map per triangle between the 81 points of face and forehead. Around them, a frame
    of points that follow the faces' similarity carries the donor's surroundings along, so that
    no edge between the two pictures lies near the face.
    """
    wanted, source = (_outline(p) for p in (pair.target_landmarks, pair.donor_landmarks))
    frame = _frame(wanted)
    matrix = geometry.similarity(wanted, source)
    source = np.concatenate([source, geometry.transform_points(matrix, frame)])
    wanted = np.concatenate([wanted, frame])
    height, width = pair.target.shape[:2]
    triangles = spatial.Delaunay(wanted).simplices
    index = np.zeros((height, width), np.int32)
    for number, corners in enumerate(np.rint(wanted[triangles] * 16).astype(np.int32)):
        cv2.fillConvexPoly(index, corners, number, shift=4)
    maps = _affine_maps(wanted[triangles], source[triangles])[index]
    columns, rows = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    x = maps[..., 0, 0] * columns + maps[..., 1, 0] * rows + maps[..., 2, 0]
    y = maps[..., 0, 1] * columns + maps[..., 1, 1] * rows + maps[..., 2, 1]
    return cv2.remap(pair.donor, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def displacement(
    points: np.ndarray, moved: np.ndarray, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Returns a smooth field (H, W, 2) of how mouth and eyes move, and its mask.

    `moved` (68, 2) is what each landmark is asked to move; the field is the mean of what is near,
    under a Gaussian (Shepard), so that opposite movements of neighbours, as of two lids, cancel in
    part. The mask, float32 (H, W) in 0..1, fades out with the distance from the moving landmarks;
    where it is 0, so is the field.
    """
    spread = PULL * float(np.ptp(points, axis=0).max())
    points, moved = points.astype(np.float32), moved.astype(np.float32)
    x, y = np.arange(size[1], dtype=np.float32), np.arange(size[0], dtype=np.float32)
    near_x = np.exp(-((x - points[_MOVING, :1]) ** 2) / (2 * spread**2))  # (landmarks, W)
    near_y = np.exp(-((y - points[_MOVING, 1:]) ** 2) / (2 * spread**2))  # (landmarks, H)
    total = near_y.T @ near_x
    pull = np.stack([(near_y * moved[_MOVING, k : k + 1]).T @ near_x for k in (0, 1)], axis=-1)
    # Full at the landmarks, each of which has neighbours, and gone 2.3 deviations away.
    mask = np.clip(total - 0.3, 0.0, 1.0).astype(np.float32)
    field = pull / np.maximum(total, 1e-6)[..., None] * mask[..., None]
    return field.astype(np.float32), mask


def displace(image: np.ndarray, field: np.ndarray, level: np.ndarray, sigma: float) -> np.ndarray:
    """Returns the image with each pixel fetched from where it was before the displacement.

    It is fetched as from a texture with two levels: `level` (H, W) in 0..1 goes from the image
    itself to the image under a Gaussian of `sigma` px.
    """
    height, width = image.shape[:2]
    x = np.arange(width, dtype=np.float32) - field[..., 0]
    y = np.arange(height, dtype=np.float32)[:, None] - field[..., 1]
    fine, coarse = (
        cv2.remap(texture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        for texture in (image, cv2.GaussianBlur(image, (0, 0), sigma))
    )
    mixed = fine + level[..., None] * (coarse.astype(np.float32) - fine)
    return np.rint(mixed).astype(np.uint8)


def _outline(landmarks: np.ndarray) -> np.ndarray:
    """Landmarks and the forehead's points, (81, 2)."""
    return np.concatenate([landmarks, geometry.forehead(landmarks)])


def _frame(points: np.ndarray) -> np.ndarray:
    """Points (16, 2) on a wide circle around the points, far outside any part."""
    angle = np.linspace(0.0, 2.0 * np.pi, 16, endpoint=False)
    radius = 1.6 * np.ptp(points, axis=0).max()
    return points.mean(axis=0) + radius * np.stack([np.cos(angle), np.sin(angle)], 1)


def _affine_maps(wanted: np.ndarray, source: np.ndarray) -> np.ndarray:
    """The maps (T, 3, 2), [x y 1] @ map, that take triangles (T, 3, 2) to triangles (T, 3, 2)."""
    lifted = np.concatenate([wanted, np.ones((len(wanted), 3, 1))], axis=2)
    # Slivers between nearly collinear landmarks cover no pixel; they only must not fail.
    lifted[np.abs(np.linalg.det(lifted)) < 1e-9] = np.eye(3)
    return np.linalg.solve(lifted, source).astype(np.float32)
