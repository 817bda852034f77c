"""Where the points of a face are: mean face, identity, expression and pose, in three dimensions.

Units: half the width of the mean face; x right, y down, z towards the camera; the origin is
between the eyes and the nose tip.
"""

import dataclasses

import numpy as np

FOREHEAD_POINTS = 15


@dataclasses.dataclass(frozen=True)
class Pose:
    """Head angles in radians, `centre` and `size` in pixels, and the expression, each about 0..1."""

    yaw: float
    pitch: float
    roll: float
    centre: tuple[float, float]
    size: float
    mouth_open: float
    smile: float
    blink: float
    brow_raise: float
    gaze: tuple[float, float]


@dataclasses.dataclass(frozen=True, eq=False)
class Points:
    """Pixels (x, y): the 68 landmarks, the skull's upper outline (15, 2), and the iris centres."""

    landmarks: np.ndarray
    skull: np.ndarray
    irises: np.ndarray

    def shifted(self, offset: np.ndarray) -> "Points":
        """Returns the points moved by `offset` (x, y) pixels."""
        return Points(self.landmarks + offset, self.skull + offset, self.irises + offset)


def place(shape: dict[str, float], pose: Pose) -> Points:
    """Returns the points of a face of this identity in this pose."""
    solid = _face(shape, pose)
    skull = _skull(shape)
    gaze = np.array([*pose.gaze, 0.0]) * 0.05
    irises = np.stack([solid[36:42].mean(0), solid[42:48].mean(0)]) + gaze
    turn = _rotation(pose)
    flat = [points @ turn.T[:, :2] * pose.size + pose.centre for points in (solid, skull, irises)]
    return Points(*(points.astype(np.float32) for points in flat))


def _face(s: dict[str, float], pose: Pose) -> np.ndarray:
    """The 68 landmarks (68, 3) before the head is turned."""
    jaw = _jaw(s, pose)
    brow_y = -0.46 - s["brow_height"] - 0.12 * pose.brow_raise
    arch = np.array([0.06, -0.04, -0.08, -0.06, 0.0])
    slope = np.linspace(-1.0, 1.0, 5) * s["brow_slope"]
    brow = np.stack([np.linspace(-0.80, -0.20, 5), brow_y + arch + slope, _bulge(5, 0.1, 0.42)], 1)
    length = s["nose_length"]
    bridge = np.stack(
        [np.zeros(4), np.linspace(-0.18, 0.32 + length, 4), np.linspace(0.48, 0.95, 4)], 1
    )
    wide = 0.22 + s["nose_width"]
    nostril_y = 0.43 + length + np.array([-0.03, 0.02, 0.05, 0.02, -0.03])
    nostrils = np.stack([np.linspace(-wide, wide, 5), nostril_y, _bulge(5, 0.5, 0.72)], 1)
    eye = _eye(s, pose)
    mouth = _mouth(s, pose)
    return np.concatenate(
        [jaw, brow, _mirror(brow), bridge, nostrils, eye, _mirror_eye(eye), mouth]
    )


def _jaw(s: dict[str, float], pose: Pose) -> np.ndarray:
    angle = np.linspace(np.pi, 0.0, 17)
    cosine, sine = np.cos(angle), np.sin(angle)
    power = 0.85 - s["jaw"]
    x = (1.0 + s["width"]) * np.sign(cosine) * np.abs(cosine) ** power
    drop = 1.2 + s["chin"] + 0.16 * pose.mouth_open
    return np.stack([x, -0.1 + drop * sine**1.15, -0.85 + 1.25 * sine], 1)


def _eye(s: dict[str, float], pose: Pose) -> np.ndarray:
    half = 0.185 + s["eye_size"]
    height = (0.085 + 0.6 * s["eye_size"]) * (1.0 - 0.85 * pose.blink)
    x = np.array([-half, -0.4 * half, 0.4 * half, half, 0.4 * half, -0.4 * half])
    y = np.array([0.0, -height, -height, 0.0, 0.8 * height, 0.8 * height])
    y = y + s["eye_tilt"] * x / half
    return np.stack([x - 0.43 - s["eye_gap"], y - 0.15, np.full(6, 0.38)], 1)


def _mouth(s: dict[str, float], pose: Pose) -> np.ndarray:
    half = 0.35 + s["mouth_width"] + 0.09 * pose.smile
    centre = 0.72 + s["mouth_height"]
    lips, gap = 0.07 + s["lips"], 0.10 * pose.mouth_open
    lift = -0.09 * pose.smile
    upper = np.array([0.0, 0.75, 1.0, 0.85, 1.0, 0.75, 0.0])
    x = np.linspace(-1.0, 1.0, 7)
    corners = lift * np.abs(x) ** 2
    top = np.stack([x * half, centre - lips * upper - 0.4 * gap * (1 - x**2) + corners], 1)
    low = x[5:0:-1]
    bottom = centre + (lips * 1.25 + 1.6 * gap) * (1 - low**2) + lift * low**2
    outer = np.concatenate([top, np.stack([low * half, bottom], 1)])
    inner_x = np.array([-0.88, -0.4, 0.0, 0.4, 0.88, 0.4, 0.0, -0.4])
    side = np.array([0.0, -0.5, -0.5, -0.5, 0.0, 1.7, 1.7, 1.7])
    inner_y = centre + side * gap * (1 - inner_x**2) + lift * inner_x**2
    inner = np.stack([inner_x * half, inner_y + 0.005 * np.sign(side)], 1)
    flat = np.concatenate([outer, inner])
    depth = 0.62 - 0.3 * (flat[:, :1] / half) ** 2
    return np.concatenate([flat, depth], 1)


def _skull(s: dict[str, float]) -> np.ndarray:
    angle = np.linspace(np.pi, 0.0, FOREHEAD_POINTS)
    height = 1.15 + s["forehead"]
    x = (1.0 + s["width"]) * np.cos(angle)
    return np.stack([x, -0.1 - height * np.sin(angle), -0.85 + 0.75 * np.sin(angle)], 1)


def _bulge(count: int, edge: float, middle: float) -> np.ndarray:
    return edge + (middle - edge) * np.sin(np.linspace(0.25, np.pi - 0.25, count))


def _mirror(points: np.ndarray) -> np.ndarray:
    return (points * (-1.0, 1.0, 1.0))[::-1]


def _mirror_eye(eye: np.ndarray) -> np.ndarray:
    return (eye * (-1.0, 1.0, 1.0))[[3, 2, 1, 0, 5, 4]]


def _rotation(pose: Pose) -> np.ndarray:
    (cy, sy), (cp, sp), (cr, sr) = ((np.cos(a), np.sin(a)) for a in (pose.yaw, pose.pitch, pose.roll))
    yaw = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    pitch = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
    roll = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return roll @ pitch @ yaw
