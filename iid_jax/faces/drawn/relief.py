"""The face as a landscape of heights, and how a light falls on it."""

import dataclasses

import cv2
import numpy as np

from iid_jax.faces.drawn.person import Person
from iid_jax.faces.drawn.shape import Points, Pose

STEP = 2  # px between the points where light is worked out
SHININESS = 18.0
DEPTH = 0.9
# Light that has gone through skin comes out redder: shadows darken blue before red.
SHADOW_TINT = np.array([0.88, 1.0, 1.06], np.float32)


@dataclasses.dataclass(frozen=True, eq=False)
class Light:
    """Where the light comes from (unit vector towards it), how strong, and the shadows' level."""

    direction: np.ndarray
    strength: float
    ambient: float

    @property
    def level(self) -> float:
        """The brightness of a surface that the light strikes at a middling angle."""
        return self.ambient + 0.6 * self.strength


def shade(
    size: tuple[int, int], person: Person, points: Points, pose: Pose, light: Light
) -> tuple[np.ndarray, np.ndarray]:
    """Returns diffuse light as a factor (H, W, 3) and gloss in grey levels (H, W, 1), float32.

    `size` is (width, height). Lambert's and Blinn and Phong's laws on the slopes of `_heights`.
    """
    columns, rows = (np.arange(0, side + STEP, STEP, dtype=np.float32) for side in size)
    heights = _heights(columns, rows, person, points, pose)
    down, right = np.gradient(heights, STEP / pose.size)
    normal = np.stack([-right, -down, np.ones_like(heights)], -1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    lit = np.maximum(normal @ light.direction.astype(np.float32), 0.0)
    halfway = light.direction + (0.0, 0.0, 1.0)
    halfway = (halfway / np.linalg.norm(halfway)).astype(np.float32)
    gloss = 255.0 * person.gloss * light.strength * np.maximum(normal @ halfway, 0.0) ** SHININESS
    sky = light.ambient * (0.85 - 0.15 * normal[..., 1])
    diffuse = (sky + light.strength * lit)[..., None] ** SHADOW_TINT
    both = np.concatenate([diffuse, gloss[..., None]], -1).astype(np.float32)
    fine = cv2.resize(both, None, fx=STEP, fy=STEP, interpolation=cv2.INTER_LINEAR)
    fine = fine[: size[1], : size[0]]
    return fine[..., :3], fine[..., 3:]


def _heights(columns, rows, person: Person, points: Points, pose: Pose) -> np.ndarray:
    """Heights at all rows and columns, in units of the face: a rounded head and hills on it."""
    top = len(points.skull) // 2
    left = np.concatenate([points.skull[top::-1], points.outline[:9]])
    right = np.concatenate([points.skull[top:], points.outline[:7:-1]])
    start, end = (_edge(side, rows) for side in (left, right))
    # A head is round in every slice, and as deep as it is wide.
    half = np.maximum((end - start)[:, None] / 2, 1.0) * 1.04
    u = (columns - (start + end)[:, None] / 2) / half
    base = DEPTH * half / pose.size * np.sqrt(np.maximum(1.0 - u**2, 0.02))
    x, y, wide, tall, height = _hills(person, points.landmarks, pose).T
    # Each hill is a Gaussian in x times one in y, so all of them are one product of matrices.
    across = np.exp(-(((columns[:, None] - x) / (wide * pose.size)) ** 2) / 2)
    along = np.exp(-(((rows[:, None] - y) / (tall * pose.size)) ** 2) / 2)
    return (base + (along * height) @ across.T).astype(np.float32)


def _edge(side: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The x of an edge given from top to bottom, (K, 2), at each row."""
    falling = np.maximum.accumulate(side[:, 1]) + np.arange(len(side)) * 1e-3
    return np.interp(rows, falling, side[:, 0])


def _hills(person: Person, marks: np.ndarray, pose: Pose) -> np.ndarray:
    """Rows of (x, y) in pixels and (width, height, elevation) in units: bone, flesh and folds."""
    eyes = np.stack([marks[36:42].mean(0), marks[42:48].mean(0)])
    corners, side, unit = marks[[48, 54]], np.array([[-1.0], [1.0]]), pose.size
    cheeks = (eyes + corners) / 2 + side * (0.14 * unit, 0.0)
    hills = [
        *_along(marks[27], marks[30], 8, (0.12, 0.09, 0.03), (0.15, 0.09, 0.105)),
        (*marks[30], 0.12, 0.10, 0.12),
        *((*p, 0.08, 0.08, 0.09) for p in marks[[31, 35]]),
        *((*p, 0.25, 0.17, -0.15) for p in eyes),
        *((*p, 0.15, 0.08, 0.06) for p in eyes),
        *((*p, 0.10, 0.07, 0.022) for p in marks[17:27]),
        *((*p, 0.27, 0.20, 0.09 + 0.05 * max(pose.smile, 0.0)) for p in cheeks),
        *((*p, 0.09, 0.05, 0.018) for p in marks[49:54]),
        *((*p, 0.09, 0.06, 0.026) for p in marks[55:60]),
        (marks[57][0], marks[57][1] + 0.13 * unit, 0.2, 0.06, -0.05),
        (marks[8][0], marks[8][1] - 0.24 * unit, 0.22, 0.15, 0.11),
    ]
    depth = -0.006 - 0.016 * person.wrinkles - 0.008 * max(pose.smile, 0.0)
    for wing, corner, out in ((marks[31], marks[48], -1.0), (marks[35], marks[54], 1.0)):
        start, end = wing + (out * 0.06 * unit, -0.04 * unit), corner + (out * 0.13 * unit, 0.0)
        hills += _along(start, end, 7, (0.05, 0.05, depth), (0.05, 0.05, depth))
    furrow = -0.014 * person.wrinkles * (0.4 + pose.brow_raise)
    brows = marks[17:27].mean(0)
    for rise in (0.28, 0.42, 0.56):
        hills.append((brows[0], brows[1] - rise * unit, 0.42, 0.025, furrow))
    return np.array(hills)


def _along(start, end, count: int, first, last) -> list[tuple[float, ...]]:
    share = np.linspace(0.0, 1.0, count)[:, None]
    places = start + share * (end - start)
    forms = np.array(first) + share * (np.array(last) - first)
    return [tuple(row) for row in np.concatenate([places, forms], 1)]
