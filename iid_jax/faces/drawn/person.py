"""Who somebody is: the shape of the face, colours, hair, marks; nothing of pose or light."""

import dataclasses

import cv2
import numpy as np

TEXTURE = 128
SKINS = np.array([[236, 204, 180], [222, 178, 146], [190, 140, 106], [146, 100, 72], [96, 64, 48]])
HAIRS = np.array([[36, 28, 24], [70, 46, 30], [122, 82, 44], [190, 156, 96], [150, 146, 142]])
IRISES = np.array([[72, 46, 26], [98, 116, 60], [84, 122, 158], [110, 118, 124]])
# How far people differ in each measure of the face, in the units of `shape.mean_face`.
SPREAD = {
    "width": 0.07,
    "jaw": 0.12,
    "chin": 0.08,
    "eye_gap": 0.04,
    "eye_size": 0.025,
    "eye_tilt": 0.03,
    "nose_length": 0.05,
    "nose_width": 0.04,
    "mouth_width": 0.05,
    "mouth_height": 0.05,
    "lips": 0.022,
    "brow_height": 0.04,
    "brow_slope": 0.04,
    "forehead": 0.10,
}


@dataclasses.dataclass(frozen=True, eq=False)
class Person:
    """One identity: `shape` offsets by the names of SPREAD, colours RGB, `texture` (128, 128, 3)."""

    shape: dict[str, float]
    skin: np.ndarray
    hair: np.ndarray
    iris: np.ndarray
    lips: np.ndarray
    brow_width: float
    beard: float
    glasses: float
    fringe: float
    hair_volume: float
    wrinkles: float
    texture: np.ndarray


def draw_person(rng: np.random.Generator) -> Person:
    """Returns a random person; the same generator state gives the same person."""
    shape = {name: float(spread * _bounded(rng)) for name, spread in SPREAD.items()}
    skin = _between(SKINS, rng) * rng.uniform(0.94, 1.06, 3)
    hair = _between(HAIRS, rng) * rng.uniform(0.85, 1.15)
    return Person(
        shape=shape,
        skin=skin,
        hair=hair,
        iris=IRISES[rng.integers(len(IRISES))] * rng.uniform(0.8, 1.2),
        lips=skin * (0.86, 0.62, 0.64) * rng.uniform(0.85, 1.1, 3),
        brow_width=rng.uniform(0.05, 0.11),
        beard=rng.choice([0.0, 0.0, rng.uniform(0.15, 0.6)]),
        glasses=rng.choice([0.0, 0.0, 0.0, rng.uniform(0.5, 1.0)]),
        fringe=rng.uniform(0.05, 0.45),
        hair_volume=rng.uniform(0.04, 0.28),
        wrinkles=rng.uniform(0.0, 0.5) ** 2 * 2.0,
        texture=_texture(rng),
    )


def _texture(rng: np.random.Generator) -> np.ndarray:
    """Pores, blotches, freckles and moles as a factor around 1, in the face's own coordinates."""
    field = np.ones((TEXTURE, TEXTURE, 3), np.float32)
    for cells, strength in ((6, 0.05), (20, 0.04), (64, rng.uniform(0.02, 0.06)), (TEXTURE, 0.04)):
        grain = rng.standard_normal((cells, cells), np.float32)
        size = (TEXTURE, TEXTURE)
        field *= 1.0 + strength * cv2.resize(grain, size, interpolation=cv2.INTER_CUBIC)[..., None]
    marks = np.zeros((TEXTURE, TEXTURE), np.float32)
    for _ in range(int(rng.choice([0, 0, rng.integers(20, 90)]))):
        _dot(marks, rng.integers(TEXTURE, size=2), rng.uniform(0.6, 1.4), rng.uniform(0.08, 0.25))
    for _ in range(rng.integers(0, 6)):
        _dot(marks, rng.integers(20, TEXTURE - 20, 2), rng.uniform(1.2, 3.0), rng.uniform(0.3, 0.6))
    return field * (1.0 - marks[..., None] * np.array([0.7, 1.0, 1.1], np.float32))


def _dot(image: np.ndarray, centre: np.ndarray, radius: float, value: float) -> None:
    place, size = tuple(int(v) << 4 for v in centre), int(radius * 16)
    cv2.circle(image, place, size, float(value), -1, cv2.LINE_AA, 4)


def _bounded(rng: np.random.Generator) -> float:
    return float(np.clip(rng.standard_normal(), -2.0, 2.0))


def _between(palette: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A colour somewhere between two neighbours of a palette."""
    place = rng.uniform(0.0, len(palette) - 1.001)
    low, share = int(place), place % 1.0
    return palette[low] * (1.0 - share) + palette[low + 1] * share
