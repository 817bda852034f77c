"""Who somebody is: the shape of the face, colours, hair, marks; nothing of pose or light."""

import dataclasses

import cv2
import numpy as np

TEXTURE = 160
STRANDS = 80
SKINS = np.array([[238, 206, 186], [226, 184, 156], [198, 148, 116], [152, 106, 80], [100, 68, 54]])
HAIRS = np.array([[30, 25, 23], [62, 42, 30], [112, 76, 46], [184, 150, 98], [158, 154, 150]])
IRISES = np.array([[72, 46, 26], [98, 112, 66], [88, 120, 150], [110, 118, 124]])
# How far people differ in each measure of the face, in the units of `shape.place`.
SPREAD = {
    "width": 0.07,
    "jaw": 0.10,
    "chin": 0.09,
    "eye_gap": 0.04,
    "eye_size": 0.025,
    "eye_tilt": 0.025,
    "nose_length": 0.05,
    "nose_width": 0.035,
    "mouth_width": 0.045,
    "mouth_height": 0.045,
    "lips": 0.02,
    "brow_height": 0.04,
    "brow_slope": 0.035,
    "forehead": 0.10,
}


@dataclasses.dataclass(frozen=True, eq=False)
class Hair:
    """Colour RGB, how far it stands off the skull, how deep the hairline and how long it hangs.

    `strands` (80, 3) holds each strand's tone, sideways jitter and reach, around 1, 0 and 1.
    """

    colour: np.ndarray
    volume: float
    fringe: float
    length: float
    strands: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Person:
    """One identity: `shape` offsets by the names of SPREAD, colours RGB, `texture` (160, 160, 3).

    `beard`, `glasses`, `wrinkles` and `gloss` are 0 (none) to 1; `rims` is the glasses' exponent,
    2 for round ones.
    """

    shape: dict[str, float]
    skin: np.ndarray
    hair: Hair
    brow: np.ndarray
    brow_width: float
    iris: np.ndarray
    lips: np.ndarray
    beard: float
    glasses: float
    rims: float
    wrinkles: float
    gloss: float
    texture: np.ndarray


def draw_person(rng: np.random.Generator) -> Person:
    """Returns a random person; the same generator state gives the same person."""
    shape = {name: float(spread * _bounded(rng)) for name, spread in SPREAD.items()}
    skin = _between(SKINS, rng) * rng.uniform(0.97, 1.03, 3)
    hair = _hair(rng)
    redness = np.array([1.0, 1.0 - rng.uniform(0.22, 0.38), 1.0 - rng.uniform(0.18, 0.34)])
    return Person(
        shape=shape,
        skin=skin,
        hair=hair,
        brow=0.75 * hair.colour + 0.1 * skin,
        brow_width=rng.uniform(0.05, 0.11),
        iris=IRISES[rng.integers(len(IRISES))] * rng.uniform(0.8, 1.2),
        lips=skin * redness * rng.uniform(0.82, 0.98),
        beard=rng.choice([0.0, 0.0, rng.uniform(0.3, 0.9)]),
        glasses=rng.choice([0.0, 0.0, 0.0, rng.uniform(0.5, 1.0)]),
        rims=rng.uniform(2.0, 4.0),
        wrinkles=rng.uniform(0.0, 1.0) ** 2,
        gloss=rng.uniform(0.02, 0.16),
        texture=_texture(rng),
    )


def _hair(rng: np.random.Generator) -> Hair:
    bald = rng.uniform() < 0.08
    long = rng.uniform() < 0.45
    jitter = rng.uniform(-1, 1, (STRANDS, 3)) * (0.22, 0.06, 0.05) + (1.0, 0.0, 1.0)
    return Hair(
        colour=_between(HAIRS, rng) * rng.uniform(0.85, 1.1),
        volume=0.0 if bald else rng.uniform(0.05, 0.17),
        fringe=0.02 if bald else rng.uniform(0.14, 0.5),
        length=rng.uniform(0.8, 2.2) if long and not bald else 0.0,
        strands=jitter,
    )


def _texture(rng: np.random.Generator) -> np.ndarray:
    """Pores, blotches, freckles and moles as a factor around 1, in the face's own coordinates."""
    size = (TEXTURE, TEXTURE)
    field = np.ones((*size, 3), np.float32)
    for cells, strength in ((7, 0.03), (24, 0.03), (80, rng.uniform(0.02, 0.06)), (TEXTURE, 0.05)):
        grain = rng.standard_normal((cells, cells), np.float32)
        field *= 1.0 + strength * cv2.resize(grain, size, interpolation=cv2.INTER_CUBIC)[..., None]
    red = np.zeros(size, np.float32)
    for x, y, spread in ((0.27, 0.62, 0.09), (0.73, 0.62, 0.09), (0.5, 0.6, 0.06)):
        across = np.exp(-(((np.arange(TEXTURE) / TEXTURE - x) / spread) ** 2) / 2)
        along = np.exp(-(((np.arange(TEXTURE) / TEXTURE - y) / spread) ** 2) / 2)
        red += np.outer(along, across)
    field *= 1.0 - red[..., None] * np.array([0.0, 0.14, 0.12], np.float32) * rng.uniform(0.2, 1.0)
    marks = np.zeros(size, np.float32)
    for _ in range(int(rng.choice([0, 0, rng.integers(30, 140)]))):
        _dot(marks, rng.uniform(24, TEXTURE - 24, 2), rng.uniform(0.5, 1.3), rng.uniform(0.06, 0.2))
    for _ in range(rng.integers(0, 5)):
        _dot(marks, rng.uniform(30, TEXTURE - 30, 2), rng.uniform(0.9, 2.2), rng.uniform(0.25, 0.5))
    return field * (1.0 - marks[..., None] * np.array([0.7, 1.0, 1.1], np.float32))


def _dot(image: np.ndarray, centre: np.ndarray, radius: float, value: float) -> None:
    place, size = tuple(int(v * 16) for v in centre), int(radius * 16)
    cv2.circle(image, place, size, float(value), -1, cv2.LINE_AA, 4)


def _bounded(rng: np.random.Generator) -> float:
    return float(np.clip(rng.standard_normal(), -2.0, 2.0))


def _between(palette: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A colour somewhere between two neighbours of a palette."""
    place = rng.uniform(0.0, len(palette) - 1.001)
    low, share = int(place), place % 1.0
    return palette[low] * (1.0 - share) + palette[low + 1] * share
