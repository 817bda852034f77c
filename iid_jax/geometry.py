"""Where a face is: landmark layout, alignment to the canvas, hulls, crops, mirrored points.

Points are (x, y) in pixels, the centre of the top left pixel at (0, 0). Landmarks are (68, 2) in
dlib/iBUG order; "left" and "right" are the sides of the *picture*.
"""

import functools
import math
from collections.abc import Sequence

import cv2
import numpy as np

JAW = slice(0, 17)
LEFT_BROW, RIGHT_BROW = slice(17, 22), slice(22, 27)
BROWS = slice(17, 27)
NOSE_BRIDGE, NOSTRILS = slice(27, 31), slice(31, 36)
LEFT_EYE, RIGHT_EYE = slice(36, 42), slice(42, 48)
OUTER_LIPS, INNER_LIPS = slice(48, 60), slice(60, 68)
MOUTH = slice(48, 68)
CHIN, BRIDGE, NOSE_TIP, LEFT_MOUTH, RIGHT_MOUTH = 8, 27, 30, 48, 54

# MIRROR[i] is the landmark that takes the place of landmark i in the mirrored picture.
MIRROR = np.array(
    [*range(16, -1, -1), *range(26, 16, -1), *range(27, 31), *range(35, 30, -1)]
    + [45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40]
    + [54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55]
    + [64, 63, 62, 61, 60, 67, 66, 65]
)

PUBLISHED_CANVAS = 224
PUBLISHED_FACE_WIDTH = 80.0
CROP_SHARE = 2.6
FOREHEAD_POINTS = 13
FOREHEAD_LIFT = 0.55
_ANGLES = np.linspace(np.pi, 0.0, FOREHEAD_POINTS + 2)[1:-1]
_FOREHEAD = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)

# Five points of the mean face around the canvas's centre: pupils, nose tip, mouth corners, in
# units in which the pupils are EYE_DISTANCE apart (Implicit Identity Leakage, CVPR 2023, code).
MEAN_FACE = np.array(
    [
        [-0.17607, -0.172844],
        [0.1736, -0.17356],
        [-0.00182, 0.0357164],
        [-0.14617, 0.20185],
        [0.14496, 0.19943],
    ]
)
EYE_DISTANCE = 0.34967
# The eyes' height over the room below them on the canvas.
EYES_TO_BOTTOM = 1.42


def five_points(landmarks: np.ndarray, whole_pixel_eyes: bool = False) -> np.ndarray:
    """Returns the centres of both eyes, the nose tip and the mouth corners, (5, 2) float64.

    `whole_pixel_eyes` truncates the eye centres to whole pixels.
    """
    points = np.asarray(landmarks, np.float64)
    if points.shape != (68, 2):
        raise ValueError(f"landmarks must be (68, 2) in iBUG order, got {points.shape}")
    five = points.take((0, 0, NOSE_TIP, LEFT_MOUTH, RIGHT_MOUTH), axis=0)
    five[0] = np.add.reduce(points[LEFT_EYE]) / 6.0
    five[1] = np.add.reduce(points[RIGHT_EYE]) / 6.0
    if whole_pixel_eyes:
        np.trunc(five[:2], out=five[:2])
    return five


def mean_face(canvas: int, face_width: float | None = None, scale: float = 1.0) -> np.ndarray:
    """Returns the five points of the mean face on the canvas, (5, 2) float64.

    `face_width` is the distance of its pupils in canvas pixels at scale 1; by default 80 of 224.
    """
    if face_width is None:
        face_width = PUBLISHED_FACE_WIDTH * canvas / PUBLISHED_CANVAS
    points = MEAN_FACE * scale * face_width / (canvas * EYE_DISTANCE) + 0.5
    points[:, 1] /= points[0, 1] * (1.0 + EYES_TO_BOTTOM)
    return points * canvas


def similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Returns the (3, 3) similarity that takes source (N, 2) nearest to target (N, 2).

    Rotation, uniform scale and translation by least squares, closed form (Umeyama, 1991, in two
    dimensions and without reflections). Raises ValueError where all source points coincide.
    """
    # In the plane a rotation and scale is one complex factor.
    start, goal = (np.asarray(points, np.float64) @ (1.0, 1.0j) for points in (source, target))
    start_mean, goal_mean = start.mean(), goal.mean()
    centred = start - start_mean
    spread = np.vdot(centred, centred).real
    if not spread > 0.0:
        raise ValueError("a similarity needs at least two different finite points")
    turn = np.vdot(centred, goal - goal_mean) / spread
    shift = goal_mean - turn * start_mean
    return np.array(
        [[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag], [0.0, 0.0, 1.0]]
    )


def alignment(
    landmarks: np.ndarray,
    canvas: int,
    face_width: float | None = None,
    scale: float = 0.9,
    translation: Sequence[float] = (0.0, 0.0),
    rotation: float = 0.0,
    stretch: Sequence[float] = (1.0, 1.0),
    whole_pixel_eyes: bool = True,
) -> np.ndarray:
    """Returns the (3, 3) projective matrix from frame pixels to pixels of the aligned canvas.

    `face_width` is in canvas pixels (default 80 of 224), `translation` in pixels of a 224 canvas,
    `rotation` in degrees, counterclockwise, about the canvas's centre. `stretch` (horizontal,
    vertical) widens the upper face by its first and narrows the lower by its inverse, and makes
    the left side longer by its second and the right shorter: a slight perspective. The published
    pipeline truncates eye centres to whole pixels; `whole_pixel_eyes=False` does not.
    """
    target, after = _canvas_side(
        canvas, face_width, scale, tuple(translation), rotation, tuple(stretch)
    )
    return after @ similarity(five_points(landmarks, whole_pixel_eyes), target)


# A fake and its pristine frame meet on one canvas, one right after the other.
@functools.lru_cache(maxsize=4)
def _canvas_side(
    canvas: int,
    face_width: float | None,
    scale: float,
    translation: tuple[float, float],
    rotation: float,
    stretch: tuple[float, float],
) -> tuple[np.ndarray, np.ndarray]:
    """The mean face, and the turn, stretch and shift once a face lies on it: (5, 2) and (3, 3)."""
    target = mean_face(canvas, face_width, scale)
    turn = np.eye(3)
    turn[:2] = cv2.getRotationMatrix2D((canvas / 2, canvas / 2), rotation, 1.0)
    shift = np.asarray(translation, np.float64) * canvas / PUBLISHED_CANVAS
    return target, _stretched(target, stretch, shift) @ turn


def _stretched(face: np.ndarray, stretch: Sequence[float], shift: np.ndarray) -> np.ndarray:
    """The perspective that stretches and shifts the face; float32 points, as in the reference."""
    corners = face[[0, 1, 3, 4]].astype(np.float32)
    moved = corners.copy()
    wide, tall = stretch
    for first, second, factor in ((0, 1, wide), (2, 3, 1 / wide), (0, 2, tall), (1, 3, 1 / tall)):
        middle = (moved[first] + moved[second]) * np.float32(0.5)
        half = (moved[first] - moved[second]) * np.float32(0.5) * np.float32(factor)
        moved[first], moved[second] = middle + half, middle - half
    return cv2.getPerspectiveTransform(corners, (moved + shift).astype(np.float32))


def cut_matrix(corner: Sequence[float], scale: Sequence[float]) -> np.ndarray:
    """Returns the (3, 3) matrix from a picture's pixels to those of a part of it, resized.

    `corner` is the part's (x0, y0), `scale` (across, down). Pixel centres are at whole numbers, as
    in OpenCV's resize: hence the half pixels.
    """
    matrix = np.diag([*scale, 1.0])
    for axis in (0, 1):
        matrix[axis, 2] = (0.5 - corner[axis]) * scale[axis] - 0.5
    return matrix


def transform_points(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Returns points (N, 2) under the projective matrix (3, 3), float64."""
    lifted = np.asarray(points, np.float64) @ matrix[:, :2].T + matrix[:, 2]
    return lifted[:, :2] / lifted[:, 2:]


def warp(
    image: np.ndarray,
    matrix: np.ndarray,
    canvas: int,
    border: int = cv2.BORDER_REPLICATE,
    interpolation: int = cv2.INTER_LINEAR,
) -> np.ndarray:
    """Returns the image (H, W[, C]) under the (3, 3) matrix on a square canvas (S, S[, C]).

    What lies outside the image repeats its edge (a mask wants `border=cv2.BORDER_CONSTANT`).
    """
    # OpenCV is faster with a fourth channel, and gives the same three.
    padded = image.ndim == 3 and image.shape[2] == 3 and image.dtype == np.uint8
    if padded:
        image = cv2.cvtColor(image, cv2.COLOR_RGB2RGBA)
    options = {"dsize": (canvas, canvas), "flags": interpolation, "borderMode": border}
    if np.array_equal(matrix[2], (0.0, 0.0, 1.0)):
        warped = cv2.warpAffine(image, matrix[:2], **options)
    else:
        warped = cv2.warpPerspective(image, matrix, **options)
    return cv2.cvtColor(warped, cv2.COLOR_RGBA2RGB) if padded else warped


def alignment_disagreement(first: np.ndarray, second: np.ndarray) -> float:
    """Returns the largest distance of two faces' five points (68, 2), in eye distances.

    Infinite where a face has no eye distance.
    """
    a, b = five_points(first), five_points(second)
    eyes = (math.dist(a[0], a[1]) + math.dist(b[0], b[1])) / 2
    if not eyes > 0.0:
        return float("inf")
    return float(np.hypot(*(a - b).T).max() / eyes)


def forehead(landmarks: np.ndarray) -> np.ndarray:
    """Returns (13, 2) float64 points along the upper forehead, from the left temple to the right.

    Half an ellipse on the ends of the jaw line, along the nose bridge's direction; its top lies
    0.55 of the distance from the brows to the nose tip above the brows.
    """
    points = np.asarray(landmarks, np.float64)
    left, right = points[0], points[16]
    base, across = (left + right) / 2.0, (right - left) / 2.0
    bridge = points[BRIDGE] - points[NOSE_TIP]
    up = bridge / max(math.hypot(*bridge), 1e-6)
    brows = np.add.reduce(points[BROWS]) / 10.0
    lift = FOREHEAD_LIFT * np.dot(brows - points[NOSE_TIP], up)
    height = max(np.dot(brows - base, up) + lift, 0.0)
    return base + _FOREHEAD[:, :1] * across + _FOREHEAD[:, 1:] * (height * up)


def hull(*landmarks: np.ndarray) -> np.ndarray:
    """Returns the convex hull (K, 2) float32 of faces (68, 2), foreheads included."""
    clouds = [np.concatenate([points, forehead(points)]) for points in landmarks]
    return cv2.convexHull(np.concatenate(clouds).astype(np.float32))[:, 0]


def crop_box(landmarks: np.ndarray, frame_size: Sequence[int]) -> tuple[int, int, int, int]:
    """Returns the stored crop (x0, y0, x1, y1) in whole frame pixels, x1 and y1 exclusive.

    A square 2.6 times the longer side of the landmarks' box, around it, clipped to the frame
    (height, width); empty (x1 <= x0 or y1 <= y0) where it misses the frame.
    """
    points = np.asarray(landmarks, np.float64)
    low, high = points.min(axis=0), points.max(axis=0)
    side = np.ceil(CROP_SHARE * (high - low).max())
    corner = np.rint((low + high - side) / 2)
    height, width = frame_size
    x0, y0 = (int(v) for v in np.clip(corner, 0, (width, height)))
    x1, y1 = (int(v) for v in np.clip(corner + side, 0, (width, height)))
    return x0, y0, x1, y1


def mirror_points(points: np.ndarray, width: int) -> np.ndarray:
    """Returns points (N, 2) in the picture mirrored left to right, in their order."""
    mirrored = np.array(points, copy=True)
    mirrored[:, 0] = (width - 1) - mirrored[:, 0]
    return mirrored


def mirror_landmarks(landmarks: np.ndarray, width: int) -> np.ndarray:
    """Returns landmarks (68, 2) of the mirrored picture, in iBUG order."""
    return mirror_points(landmarks, width)[MIRROR]


def mirror_boxes(boxes: np.ndarray) -> np.ndarray:
    """Returns boxes (K, 4) as (x0, y0, x1, y1) in 0..1, mirrored left to right."""
    mirrored = np.array(boxes, copy=True)
    mirrored[..., [0, 2]] = 1.0 - mirrored[..., [2, 0]]
    return mirrored
