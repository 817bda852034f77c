"""Where the points of a face are: mean face, identity, expression and pose, in three dimensions.

Units: half the width of the mean face; x right, y down, z towards the camera; the origin is
between the eyes and the nose tip.
"""

import dataclasses

import numpy as np

SKULL_POINTS = 15


@dataclasses.dataclass(frozen=True)
class Pose:
    """Head angles in radians, `centre` and `size` in pixels, the expression, each about 0..1."""

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
    """Pixels (x, y) of a face.

    landmarks (68, 2) in iBUG order; outline (17, 2), the visible edge below the ears; skull
    (15, 2), the edge above them, from left to right; ears (2, 2); irises (2, 2).
    """

    landmarks: np.ndarray
    outline: np.ndarray
    skull: np.ndarray
    ears: np.ndarray
    irises: np.ndarray

    def shifted(self, offset: np.ndarray) -> "Points":
        """Returns the points moved by `offset` (x, y) pixels."""
        return Points(*(getattr(self, f.name) + offset for f in dataclasses.fields(self)))

    @property
    def head(self) -> np.ndarray:
        """The head's whole edge as a closed polygon, (32, 2)."""
        return np.concatenate([self.outline, self.skull[::-1]])


def place(shape: dict[str, float], pose: Pose) -> Points:
    """Returns the points of a face of this identity in this pose."""
    solid = _face(shape, pose)
    skull = _skull(shape)
    yaw = pose.yaw
    # Slices of the head are ellipses: where one ends for the eye moves as the head turns. On the
    # far side that edge is what iBUG calls the jaw line.
    jaw, depth = solid[:17], np.linspace(1.05, 0.5, 9)
    edge = _silhouette(jaw, np.concatenate([depth, depth[-2::-1]]), yaw)
    turned = _turn_yaw(solid, yaw)
    far = np.sign(jaw[:, :1]) == np.sign(np.sin(yaw))
    turned[:17] = np.where(far, edge, turned[:17])
    ears = _turn_yaw(jaw[[1, 15]] + (0.0, -0.06, -0.1), yaw)
    gaze = np.array([*pose.gaze, 0.0]) * 0.045
    irises = _turn_yaw(np.stack([solid[36:42].mean(0), solid[42:48].mean(0)]) + gaze, yaw)
    parts = (turned, edge, _silhouette(skull, np.full(SKULL_POINTS, 1.15), yaw), ears, irises)
    turn = _nod(pose)
    return Points(*((p @ turn.T[:, :2] * pose.size + pose.centre).astype("f4") for p in parts))


def _turn_yaw(points: np.ndarray, yaw: float) -> np.ndarray:
    x, y, z = points.T
    return np.stack([x * np.cos(yaw) + z * np.sin(yaw), y, z * np.cos(yaw) - x * np.sin(yaw)], 1)


def _silhouette(points: np.ndarray, depth: np.ndarray, yaw: float) -> np.ndarray:
    """The points turned and pushed out to the visible edge of their slices, `depth` deep."""
    turned = _turn_yaw(points, yaw)
    flat = np.abs(points[:, 0]) * np.cos(yaw)
    wide = np.hypot(flat, depth * np.sin(yaw))
    # At the chin and the crown the edge is a matter of height, not of width.
    share = np.abs(points[:, 0]) / np.abs(points[:, 0]).max()
    turned[:, 0] += np.sign(points[:, 0]) * share * (wide - flat)
    return turned


def _nod(pose: Pose) -> np.ndarray:
    (cp, sp), (cr, sr) = ((np.cos(a), np.sin(a)) for a in (pose.pitch, pose.roll))
    pitch = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
    roll = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return roll @ pitch


def _face(s: dict[str, float], pose: Pose) -> np.ndarray:
    """The 68 landmarks (68, 3) before the head is turned."""
    brow_y = -0.46 - s["brow_height"] - 0.12 * pose.brow_raise
    arch = np.array([0.07, -0.03, -0.07, -0.05, 0.01])
    slope = np.linspace(-1.0, 1.0, 5) * s["brow_slope"]
    brow = np.stack([np.linspace(-0.80, -0.19, 5), brow_y + arch + slope, _bulge(5, 0.1, 0.5)], 1)
    length = s["nose_length"]
    bridge = np.stack(
        [np.zeros(4), np.linspace(-0.18, 0.33 + length, 4), np.linspace(0.5, 0.95, 4)], 1
    )
    wide = 0.21 + s["nose_width"]
    nostril_y = 0.45 + length + np.array([-0.04, 0.02, 0.045, 0.02, -0.04])
    nostrils = np.stack([np.linspace(-wide, wide, 5), nostril_y, _bulge(5, 0.5, 0.72)], 1)
    eye = _eye(s, pose)
    other_eye = (eye * (-1.0, 1.0, 1.0))[[3, 2, 1, 0, 5, 4]]
    other_brow = (brow * (-1.0, 1.0, 1.0))[::-1]
    mouth = _mouth(s, pose)
    return np.concatenate(
        [_jaw(s, pose), brow, other_brow, bridge, nostrils, eye, other_eye, mouth]
    )


def _jaw(s: dict[str, float], pose: Pose) -> np.ndarray:
    angle = np.linspace(np.pi, 0.0, 17)
    cosine, sine = np.cos(angle), np.sin(angle)
    x = (1.0 + s["width"]) * np.sign(cosine) * np.abs(cosine) ** (0.72 - s["jaw"])
    drop = 1.47 + s["chin"] + 0.17 * pose.mouth_open
    return np.stack([x, -0.12 + drop * sine**1.05, -0.28 + 0.68 * sine**2], 1)


def _eye(s: dict[str, float], pose: Pose) -> np.ndarray:
    half = 0.195 + s["eye_size"]
    height = (0.092 + 0.6 * s["eye_size"]) * (1.0 - 0.85 * pose.blink)
    x = np.array([-half, -0.4 * half, 0.4 * half, half, 0.4 * half, -0.4 * half])
    y = np.array([0.0, -height, -height, 0.0, 0.8 * height, 0.8 * height])
    y = y + s["eye_tilt"] * x / half
    return np.stack([x - 0.43 - s["eye_gap"], y - 0.15, np.full(6, 0.38)], 1)


def _mouth(s: dict[str, float], pose: Pose) -> np.ndarray:
    half = 0.35 + s["mouth_width"] + 0.08 * pose.smile
    centre = 0.80 + s["mouth_height"]
    lips, gap = 0.065 + s["lips"], 0.10 * pose.mouth_open
    lift = -0.085 * pose.smile
    upper = np.array([0.0, 0.75, 1.0, 0.85, 1.0, 0.75, 0.0])
    x = np.linspace(-1.0, 1.0, 7)
    corners = lift * np.abs(x) ** 2
    top = np.stack([x * half, centre - lips * upper - 0.4 * gap * (1 - x**2) + corners], 1)
    low = x[5:0:-1]
    bottom = centre + (lips * 1.3 + 1.6 * gap) * (1 - low**2) + lift * low**2
    outer = np.concatenate([top, np.stack([low * half, bottom], 1)])
    inner_x = np.array([-0.88, -0.4, 0.0, 0.4, 0.88, 0.4, 0.0, -0.4])
    side = np.array([0.0, -0.5, -0.5, -0.5, 0.0, 1.7, 1.7, 1.7])
    inner_y = centre + side * gap * (1 - inner_x**2) + lift * inner_x**2
    inner = np.stack([inner_x * half, inner_y + 0.005 * np.sign(side)], 1)
    flat = np.concatenate([outer, inner])
    depth = 0.66 - 0.3 * (flat[:, :1] / half) ** 2
    return np.concatenate([flat, depth], 1)


def _skull(s: dict[str, float]) -> np.ndarray:
    angle = np.linspace(np.pi, 0.0, SKULL_POINTS)
    height = 1.38 + s["forehead"]
    x = (1.0 + s["width"]) * np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** 0.85
    return np.stack([x, -0.12 - height * np.sin(angle), -0.28 + 0.2 * np.sin(angle)], 1)


def _bulge(count: int, edge: float, middle: float) -> np.ndarray:
    return edge + (middle - edge) * np.sin(np.linspace(0.25, np.pi - 0.25, count))
