"""One clip of a person: a place, a light, a camera, and a few moments of it."""

import dataclasses
from typing import NamedTuple

import cv2
import numpy as np

from iid_jax.faces.drawn import paint, shape
from iid_jax.faces.drawn.person import Person

FRAME = 192
FINER = 2  # painted at this multiple of the frame's size


class Shot(NamedTuple):
    """A picture as the camera stored it, RGB uint8 (192, 192, 3), with exact landmarks (68, 2)."""

    image: np.ndarray
    landmarks: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class _Camera:
    blur: float
    noise: float
    quality: int
    gain: np.ndarray
    gamma: float


def draw_video(person: Person, rng: np.random.Generator, frames: int) -> list[Shot]:
    """Returns `frames` shots of one clip: the same place, light, clothes and camera."""
    backdrop = _backdrop(rng)
    cloth = rng.uniform(20, 230, 3)
    light = _light(rng)
    camera = _Camera(
        blur=rng.uniform(0.35, 1.1),
        noise=rng.uniform(0.5, 5.0),
        quality=int(rng.integers(60, 97)),
        gain=rng.uniform(0.88, 1.1, 3),
        gamma=rng.uniform(0.8, 1.25),
    )
    start = _pose(rng)
    shots = []
    for _ in range(frames):
        pose = _moved(start, rng)
        shots.append(_shoot(person, pose, light, camera, backdrop, cloth, rng))
    return shots


def _shoot(person, pose, light, camera, backdrop, cloth, rng) -> Shot:
    points = shape.place(person.shape, pose)
    picture = backdrop.copy()
    _body(picture, person, points, pose, cloth, light)
    paint.face(picture, person, points, pose, light)
    small = cv2.resize(picture, (FRAME, FRAME), interpolation=cv2.INTER_AREA)
    image = _photograph(small, camera, rng)
    # The finer grid's pixel centres lie at (x + 0.5) / 2 - 0.5 of the frame's.
    return Shot(image, ((points.landmarks + 0.5) / FINER - 0.5).astype(np.float32))


def _photograph(picture: np.ndarray, camera: _Camera, rng: np.random.Generator) -> np.ndarray:
    """Lens, sensor and the camera's own JPEG, decoded again."""
    levels = np.clip(np.arange(256)[:, None] / 255.0 * camera.gain, 0.0, 1.0) ** camera.gamma
    table = np.rint(255.0 * levels).astype(np.uint8)[None]
    seen = cv2.LUT(cv2.GaussianBlur(picture, (7, 7), camera.blur), table)
    grain = rng.standard_normal(seen.shape, np.float32) * np.float32(camera.noise)
    bgr = np.clip(seen[..., ::-1] + grain, 0, 255).astype(np.uint8)
    coded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, camera.quality])[1]
    return cv2.imdecode(coded, cv2.IMREAD_COLOR_RGB)


def _light(rng: np.random.Generator) -> paint.Light:
    direction = np.array([rng.uniform(-0.8, 0.8), rng.uniform(-0.8, 0.2), rng.uniform(0.5, 1.0)])
    ambient = rng.uniform(0.3, 0.65)
    return paint.Light(direction / np.linalg.norm(direction), 1.05 - ambient, ambient)


def _pose(rng: np.random.Generator) -> shape.Pose:
    side = FRAME * FINER
    return shape.Pose(
        yaw=float(np.clip(rng.normal(0, 0.2), -0.5, 0.5)),
        pitch=float(np.clip(rng.normal(0, 0.1), -0.25, 0.25)),
        roll=float(np.clip(rng.normal(0, 0.08), -0.25, 0.25)),
        centre=tuple((side / 2 + rng.uniform(-14, 14, 2) * FINER).tolist()),
        size=float(rng.uniform(29, 36) * FINER),
        mouth_open=0.0,
        smile=0.0,
        blink=0.0,
        brow_raise=0.0,
        gaze=(0.0, 0.0),
    )


def _moved(pose: shape.Pose, rng: np.random.Generator) -> shape.Pose:
    """The same head a moment later, with another expression."""
    return dataclasses.replace(
        pose,
        yaw=pose.yaw + float(rng.normal(0, 0.07)),
        pitch=pose.pitch + float(rng.normal(0, 0.04)),
        roll=pose.roll + float(rng.normal(0, 0.03)),
        centre=tuple((np.array(pose.centre) + rng.normal(0, 2.0, 2) * FINER).tolist()),
        mouth_open=float(rng.uniform(0, 1) ** 2),
        smile=float(rng.uniform(-0.3, 1.0)),
        blink=float(rng.uniform(0, 1) ** 4),
        brow_raise=float(rng.uniform(0, 1) ** 2),
        gaze=tuple(rng.uniform(-1, 1, 2).tolist()),
    )


def _backdrop(rng: np.random.Generator) -> np.ndarray:
    """A wall, a room or leaves: a gradient, blurred shapes and texture of one to many cells."""
    corners = rng.uniform(15, 240, (2, 2, 3)).astype(np.float32)
    picture = cv2.resize(corners, (FRAME, FRAME), interpolation=cv2.INTER_LINEAR)
    for _ in range(rng.integers(0, 7)):
        low, extent = rng.integers(-20, FRAME, 2), rng.integers(10, FRAME // 2, 2)
        colour = tuple(rng.uniform(10, 245, 3).tolist())
        cv2.rectangle(picture, low.tolist(), (low + extent).tolist(), colour, -1)
    picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.3, 4.5))
    for cells, strength in ((12, 14.0), (48, 12.0), (FRAME, 10.0)):
        grain = rng.standard_normal((cells, cells), np.float32)
        grain *= np.float32(strength * rng.uniform() ** 2)
        picture += cv2.resize(grain, (FRAME, FRAME), interpolation=cv2.INTER_LINEAR)[..., None]
    small = np.clip(picture, 0, 255).astype(np.uint8)
    return cv2.resize(small, None, fx=FINER, fy=FINER, interpolation=cv2.INTER_LINEAR)


def _body(picture, person, points, pose, cloth, light) -> None:
    chin, unit, side = points.landmarks[8], pose.size, picture.shape[0]
    neck = np.array([[-0.55, -0.5], [0.55, -0.5], [0.62, 1.2], [-0.62, 1.2]]) * unit + chin
    paint.polygon(picture, neck, person.skin * (light.ambient + 0.3 * light.strength))
    shoulders = np.array([[-0.6, 0.45], [0.6, 0.45], [2.2, 1.1], [2.6, 4.0], [-2.6, 4.0], [-2.2, 1.1]])
    collar = shoulders * unit + chin
    paint.polygon(picture, collar, cloth * (light.ambient + 0.6 * light.strength))
    for x in np.linspace(-2.2, 2.2, 12):
        stripe = np.array([[x, 1.2], [x * 1.1, 4.0]]) * unit + chin
        if stripe[0, 1] < side:
            paint.line(picture, stripe, cloth * 0.8, 0.05 * unit)
