"""One clip of a person: a place, a light, a camera, and a few moments of it."""

import dataclasses
from typing import NamedTuple

import cv2
import numpy as np

from iid_jax.faces.drawn import backdrop, paint, shape
from iid_jax.faces.drawn.person import Person
from iid_jax.faces.drawn.relief import Light

FRAME = 192
FINER = 2  # painted at this multiple of the frame's size


class Shot(NamedTuple):
    """A picture as the camera stored it, RGB uint8 (192, 192, 3), with exact landmarks (68, 2)."""

    image: np.ndarray
    landmarks: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class _Camera:
    """Lens and sensor: resolution 0..1, blur (px), noise (grey levels), JPEG quality, tone."""

    resolution: float
    blur: float
    noise: float
    quality: int
    gain: np.ndarray
    gamma: float


@dataclasses.dataclass(frozen=True, eq=False)
class _Scene:
    backdrop: np.ndarray
    cloth: np.ndarray
    light: Light
    camera: _Camera


def draw_video(person: Person, rng: np.random.Generator, frames: int) -> list[Shot]:
    """Returns `frames` shots of one clip: the same place, light, clothes and camera."""
    side = FRAME * FINER
    scene = _Scene(
        backdrop.draw_backdrop(side, rng), backdrop.draw_cloth(side, rng), _light(rng), _camera(rng)
    )
    start = _pose(rng)
    return [_shoot(person, _moved(start, rng), scene, rng) for _ in range(frames)]


def _shoot(person: Person, pose: shape.Pose, scene: _Scene, rng: np.random.Generator) -> Shot:
    points, light = shape.place(person.shape, pose), scene.light
    picture = scene.backdrop.copy()
    paint.hair_behind(picture, person, points, pose, light)
    backdrop.body(picture, person, points, pose, light, scene.cloth)
    paint.face(picture, person, points, pose, light)
    small = cv2.resize(picture, (FRAME, FRAME), interpolation=cv2.INTER_AREA)
    image = _photograph(small, scene.camera, rng)
    # The finer grid's pixel centres lie at (x + 0.5) / 2 - 0.5 of the frame's.
    return Shot(image, ((points.landmarks + 0.5) / FINER - 0.5).astype(np.float32))


def _photograph(picture: np.ndarray, camera: _Camera, rng: np.random.Generator) -> np.ndarray:
    """Lens, sensor and the camera's own JPEG, decoded again."""
    if camera.resolution < 1.0:
        side = round(FRAME * camera.resolution)
        picture = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
        picture = cv2.resize(picture, (FRAME, FRAME), interpolation=cv2.INTER_CUBIC)
    levels = np.clip(np.arange(256)[:, None] / 255.0 * camera.gain, 0.0, 1.0) ** camera.gamma
    table = np.rint(255.0 * levels).astype(np.uint8)[None]
    seen = cv2.LUT(cv2.GaussianBlur(picture, (5, 5), camera.blur), table)
    grain = rng.standard_normal(seen.shape, np.float32) * np.float32(camera.noise)
    bgr = np.clip(seen[..., ::-1] + grain, 0, 255).astype(np.uint8)
    coded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, camera.quality])[1]
    return cv2.imdecode(coded, cv2.IMREAD_COLOR_RGB)


def _camera(rng: np.random.Generator) -> _Camera:
    return _Camera(
        resolution=float(rng.choice([1.0, 1.0, rng.uniform(0.6, 1.0)])),
        blur=rng.uniform(0.3, 0.9),
        noise=rng.uniform(0.5, 5.0),
        quality=int(rng.integers(60, 97)),
        gain=rng.uniform(0.9, 1.12) * rng.uniform(0.96, 1.04, 3),
        gamma=rng.uniform(0.75, 1.15),
    )


def _light(rng: np.random.Generator) -> Light:
    direction = np.array([rng.uniform(-0.8, 0.8), rng.uniform(-0.8, 0.1), rng.uniform(0.5, 1.0)])
    ambient = rng.uniform(0.3, 0.62)
    return Light(direction / np.linalg.norm(direction), 1.12 - ambient, ambient)


def _pose(rng: np.random.Generator) -> shape.Pose:
    middle = FRAME * FINER / 2
    return shape.Pose(
        yaw=float(np.clip(rng.normal(0, 0.2), -0.4, 0.4)),
        pitch=float(np.clip(rng.normal(0, 0.09), -0.22, 0.22)),
        roll=float(np.clip(rng.normal(0, 0.08), -0.25, 0.25)),
        centre=tuple((middle + rng.uniform(-12, 12, 2) * FINER).tolist()),
        size=float(rng.uniform(30, 38) * FINER),
        mouth_open=0.0,
        smile=0.0,
        blink=0.0,
        brow_raise=0.0,
        gaze=(0.0, 0.0),
    )


def _moved(pose: shape.Pose, rng: np.random.Generator) -> shape.Pose:
    """The same head at another moment, with another expression."""
    return dataclasses.replace(
        pose,
        yaw=float(np.clip(pose.yaw + rng.normal(0, 0.07), -0.45, 0.45)),
        pitch=pose.pitch + float(rng.normal(0, 0.04)),
        roll=pose.roll + float(rng.normal(0, 0.03)),
        centre=tuple((np.array(pose.centre) + rng.normal(0, 2.0, 2) * FINER).tolist()),
        mouth_open=float(rng.uniform(0, 1) ** 2),
        smile=float(rng.uniform(-0.3, 1.0)),
        blink=float(rng.uniform(0, 1) ** 4),
        brow_raise=float(rng.uniform(0, 1) ** 2),
        gaze=tuple(rng.uniform(-1, 1, 2).tolist()),
    )
