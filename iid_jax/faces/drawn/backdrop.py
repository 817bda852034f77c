"""What is around the head: the place behind it, neck, shoulders and clothes."""

import cv2
import numpy as np

from iid_jax.faces.drawn import brush
from iid_jax.faces.drawn.person import Person
from iid_jax.faces.drawn.relief import Light
from iid_jax.faces.drawn.shape import Points, Pose


def colour(rng: np.random.Generator, vivid: float = 0.8) -> np.ndarray:
    """Returns a random RGB colour, mostly muted: `vivid` is the largest saturation."""
    value, muted = rng.uniform(20, 235), rng.uniform(0.0, 1.0) ** 2 * vivid
    return np.clip(value * (1.0 + muted * rng.uniform(-1.0, 1.0, 3)), 5, 250)


def draw_backdrop(side: int, rng: np.random.Generator) -> np.ndarray:
    """Returns a wall, a room or leaves, uint8 (side, side, 3): gradients, shapes and texture."""
    fine, side = side, side // 2  # out of focus, so drawn coarsely
    corners = np.stack([colour(rng) for _ in range(4)]).reshape(2, 2, 3).astype(np.float32)
    mean = corners.mean((0, 1))
    picture = cv2.resize(mean + 0.6 * (corners - mean), (side, side))
    for _ in range(rng.integers(0, 9)):
        _shape(picture, side, rng)
    picture = brush.blurred(picture, rng.uniform(0.4, 3.5))
    for cells, strength in ((10, 24.0), (40, 16.0), (side // 2, 10.0), (side, 7.0)):
        grain = rng.standard_normal((cells, cells), np.float32)
        grain *= np.float32(strength * rng.uniform() ** 2)
        picture += cv2.resize(grain, (side, side))[..., None]
    return cv2.resize(brush.uint8(picture), (fine, fine))


def _shape(picture: np.ndarray, side: int, rng: np.random.Generator) -> None:
    low, extent = rng.integers(-20, side, 2), rng.integers(10, side // 2, 2)
    paint = colour(rng).tolist()
    kind = rng.integers(4)
    if kind == 0:
        cv2.circle(picture, low.tolist(), int(extent[0] // 2), paint, -1)
    elif kind == 1:
        end = (low + rng.integers(-side, side, 2)).tolist()
        cv2.line(picture, low.tolist(), end, paint, int(rng.integers(2, 12)))
    else:
        cv2.rectangle(picture, low.tolist(), (low + extent).tolist(), paint, -1)


def draw_cloth(side: int, rng: np.random.Generator) -> np.ndarray:
    """Returns a fabric, uint8 (side, side, 3): plain, striped or checked, and woven."""
    base, other, side = colour(rng, 0.9), colour(rng, 0.7), side // 2
    cloth = np.broadcast_to(base, (side, side, 3)).astype(np.float32)
    wave, phase = rng.uniform(4, 20), np.arange(side)
    band = (np.sin(2 * np.pi * phase / wave) > rng.uniform(-0.5, 0.8)).astype(np.float32)
    across, down = rng.choice([0.0, 0.0, rng.uniform(0.2, 0.9)], 2)
    share = np.maximum(across * band[None, :], down * band[:, None])[..., None]
    cloth = cloth + share * (other - cloth)
    for cells, strength in ((9, 0.12), (side // 3, rng.uniform(0.0, 0.08))):
        grain = rng.standard_normal((cells, cells), np.float32) * np.float32(strength)
        cloth *= 1.0 + cv2.resize(grain, (side, side))[..., None]
    return cv2.resize(brush.uint8(cloth), None, fx=2, fy=2)


def body(
    picture: np.ndarray, person: Person, points: Points, pose: Pose, light: Light, cloth: np.ndarray
) -> None:
    """Paints neck and clothes into the picture, uint8 (H, W, 3), in place."""
    chin, unit = points.landmarks[8].astype(np.float64), pose.size
    # The neck stays under the skull when the chin turns away from it.
    foot = np.array([0.6 * points.skull[[0, -1], 0].mean() + 0.4 * chin[0], chin[1]])
    neck = np.array([[-0.58, -0.9], [0.58, -0.9], [0.66, 1.2], [-0.66, 1.2]]) * unit + foot
    skin = person.skin * light.level
    brush.polygon(picture, neck, skin * 0.85)
    shadow = np.concatenate([points.outline[3:14], points.outline[13:2:-1] + (0.0, 0.3 * unit)])
    brush.soft(picture, shadow, skin * 0.5, 0.08 * unit, 0.7)
    shoulders = [[-0.66, 0.42], [0.0, 0.72], [0.66, 0.42], [1.9, 0.85], [2.5, 1.5], [2.7, 4.0]]
    shoulders += [[-2.7, 4.0], [-2.5, 1.5], [-1.9, 0.85]]
    edge = np.array(shoulders) * unit + foot
    top = max(int(edge[:, 1].min()) - 2, 0)
    if top >= picture.shape[0]:
        return
    part, fabric = picture[top:], cloth[top:]
    mask = np.zeros(part.shape[:2], np.uint8)
    brush.polygon(mask, edge - (0.0, top), 255)
    bend = np.clip((np.arange(part.shape[1]) - foot[0]) / (2.4 * unit), -1.0, 1.0)
    slope = light.ambient + light.strength * np.clip(
        light.direction[0] * bend + light.direction[2] * np.sqrt(1.05 - bend**2), 0.0, None
    )
    brush.paste(part, brush.uint8(fabric * slope[None, :, None].astype(np.float32)), mask)
    brush.line(picture, edge[:3], skin * 0.4, 0.03 * unit)
