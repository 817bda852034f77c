"""Corruptions of a stored crop, before alignment: six of pixels, and a video codec's quality.

Kinds and parameters as DeeperForensics-1.0 publishes them (Jiang et al. 2020, arXiv:2001.03024,
and its `perturbation` scripts): five levels each, 5 the worst. Every record has its own random
stream, so that a corrupted data set is the same whatever the order it is read in.
"""

import dataclasses
import hashlib
import io
from collections.abc import Callable
from typing import Any

import av
import cv2
import numpy as np

from iid_jax.data import schema
from iid_jax.data.catalog import Catalog
from iid_jax.errors import DataError, UsageError, nearest

LEVELS = (1, 2, 3, 4, 5)
BLOCK, GREY = 8, 128
# Studio range, in which DeeperForensics adds its noise: luma spans 219 steps, chroma 224.
_STUDIO = np.array([219.0, 224.0, 224.0])
# BT.601, as OpenCV computes YCrCb; rows: luma, blue and red difference, of R, G, B.
_LUMA = np.array([0.299, 0.587, 0.114])
_TO_YCC = np.stack(
    [_LUMA, (np.array([0, 0, 1]) - _LUMA) * 0.564, (np.array([1, 0, 0]) - _LUMA) * 0.713]
)
_TO_RGB = np.linalg.inv(_TO_YCC)


def saturation(image: np.ndarray, factor: float, rng: np.random.Generator) -> np.ndarray:
    """Multiplies the two colour differences of YCbCr; 0 leaves greys."""
    mixed = _TO_RGB @ np.diag([1.0, factor, factor]) @ _TO_YCC
    return _to_pixels(image @ mixed.T)


def contrast(image: np.ndarray, factor: float, rng: np.random.Generator) -> np.ndarray:
    """Multiplies all values: as published, it darkens too."""
    return _to_pixels(image * factor)


def block(image: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Puts grey squares of 8 px anywhere, `count` for each 256 px of the shorter side."""
    image = image.copy()
    height, width = image.shape[:2]
    if min(height, width) <= BLOCK:
        raise DataError(f"a crop of {width}x{height} px is too small for blocks of {BLOCK} px")
    for _ in range(max(1, round(count * min(height, width) / 256))):
        y, x = rng.integers(height - BLOCK), rng.integers(width - BLOCK)
        image[y : y + BLOCK, x : x + BLOCK] = GREY
    return image


def noise(image: np.ndarray, variance: float, rng: np.random.Generator) -> np.ndarray:
    """Adds Gaussian noise to studio-range YCbCr; the variance is of values in 0..1."""
    drawn = rng.standard_normal(image.shape) * np.sqrt(variance) * 255.0 * (255.0 / _STUDIO)
    return _to_pixels(image + drawn @ _TO_RGB.T)


def blur(image: np.ndarray, kernel: int, rng: np.random.Generator) -> np.ndarray:
    """Blurs with a Gaussian of `kernel` px whose sigma is a sixth of that."""
    return cv2.GaussianBlur(image, (kernel, kernel), kernel / 6)


def pixelation(image: np.ndarray, factor: int, rng: np.random.Generator) -> np.ndarray:
    """Shrinks by a whole factor and enlarges again, both bilinear."""
    height, width = image.shape[:2]
    small = cv2.resize(image, (max(width // factor, 1), max(height // factor, 1)))
    return cv2.resize(small, (width, height))


def codec(image: np.ndarray, crf: int, rng: np.random.Generator) -> np.ndarray:
    """Encodes the crop as a key frame of H.264 at a constant rate factor, and decodes it.

    Odd sides are padded by a pixel for 4:2:0 and cut again.
    """
    height, width = image.shape[:2]
    even = cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    stored = io.BytesIO()
    with av.open(stored, "w", format="mp4") as file:
        stream = file.add_stream("libx264", rate=25, options={"crf": str(crf), "threads": "1"})
        stream.height, stream.width, stream.pix_fmt = *even.shape[:2], "yuv420p"
        for frame in (av.VideoFrame.from_ndarray(even, "rgb24"), None):
            file.mux(stream.encode(frame))
    stored.seek(0)
    with av.open(stored) as file:
        decoded = next(file.decode(video=0)).to_ndarray(format="rgb24")
    return np.ascontiguousarray(decoded[:height, :width])


@dataclasses.dataclass(frozen=True)
class Kind:
    """A corruption: what it does to RGB uint8 (H, W, 3), and its parameter at levels 1 to 5."""

    apply: Callable[[np.ndarray, Any, np.random.Generator], np.ndarray]
    parameters: tuple[float, ...]
    video_only: bool = False


KINDS = {
    "saturation": Kind(saturation, (0.4, 0.3, 0.2, 0.1, 0.0)),
    "contrast": Kind(contrast, (0.85, 0.725, 0.6, 0.475, 0.35)),
    "block": Kind(block, (16, 32, 48, 64, 80)),
    "noise": Kind(noise, (0.001, 0.002, 0.005, 0.01, 0.05)),
    "blur": Kind(blur, (7, 9, 13, 17, 21)),
    "pixelation": Kind(pixelation, (2, 3, 4, 5, 6)),
    "codec": Kind(codec, (30, 32, 35, 38, 40), video_only=True),
}


@dataclasses.dataclass(frozen=True, order=True)
class Corruption:
    """A kind at a level."""

    kind: str
    level: int

    def __str__(self) -> str:
        return f"{self.kind}-{self.level}"

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Returns the corrupted copy of RGB uint8 (H, W, 3)."""
        kind = KINDS[self.kind]
        return kind.apply(image, kind.parameters[self.level - 1], rng)


def parse(text: str) -> list[Corruption]:
    """Returns the corruptions of `kind[:level][,...]`; every level where none is named.

    `all` stands for every kind.

    Raises:
      UsageError: an unknown kind, or a level that is not 1 to 5.
    """
    found = []
    asked = text.split(",")
    for item in [kind for word in asked for kind in (KINDS if word == "all" else [word])]:
        kind, colon, level = item.partition(":")
        if kind not in KINDS:
            raise UsageError(f"--corrupt: unknown kind {kind!r}{nearest(kind, (*KINDS, 'all'))}")
        if colon and level not in map(str, LEVELS):
            raise UsageError(f"--corrupt: {item!r}: the level must be 1 to 5")
        found += [Corruption(kind, int(n)) for n in ([level] if colon else LEVELS)]
    return list(dict.fromkeys(found))


def unsuitable(kind: str, catalog: Catalog) -> str:
    """Returns why a data set cannot be corrupted so; empty where it can."""
    if KINDS[kind].video_only and not (catalog.columns["time"] > 0).any():
        return f"{catalog.name} was not made from videos: no frame has a time"
    return ""


class CorruptedCatalog:
    """A catalog whose records are read corrupted; all else is the catalog's."""

    def __init__(self, catalog: Catalog, corruption: Corruption, seed: int = 0):
        self._catalog, self._corruption, self._seed = catalog, corruption, seed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._catalog, name)

    def __len__(self) -> int:
        return len(self._catalog)

    def read(self, row: int) -> schema.Record:
        """Returns the record, its pixels corrupted when they are decoded."""
        record = self._catalog.read(row)
        told = f"{self._seed} {self._corruption} {self._catalog.record_id(row)}"
        digest = hashlib.sha256(told.encode()).digest()
        rng = np.random.default_rng(int.from_bytes(digest[:8], "big"))
        fields = {f.name: getattr(record, f.name) for f in dataclasses.fields(schema.Record)}
        return _Corrupted(**fields, change=lambda image: self._corruption(image, rng))


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _Corrupted(schema.Record):
    change: Callable[[np.ndarray], np.ndarray]

    def pixels(self) -> np.ndarray:
        return self.change(super().pixels())


def _to_pixels(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
