"""Augmentations of a finished canvas, drawn with the same probabilities for both labels.

Each is a function of (image, boxes, mask, landmarks, rng, settings) to a `Labelled`; all but `flip`
keep the geometry. The jitter of the alignment is drawn here and applied by the one warp to the
canvas, so that no pixel is interpolated twice.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

from iid_jax import geometry
from iid_jax.config import AugmentConfig


@dataclasses.dataclass(frozen=True)
class Alignment:
    """One random alignment; `shift` is in pixels of a 224 canvas, `rotation` in degrees."""

    scale: float
    shift: tuple[float, float]
    rotation: float
    stretch: tuple[float, float]


class Labelled(NamedTuple):
    """A canvas, RGB uint8 (S, S, 3), and what moves with it.

    `boxes` (K, 4) in 0..1, `mask` (S, S) or None, `landmarks` (68, 2) in canvas pixels.
    """

    image: np.ndarray
    boxes: np.ndarray
    mask: np.ndarray | None
    landmarks: np.ndarray


Augmentation = Callable[
    [np.ndarray, np.ndarray, np.ndarray | None, np.ndarray, np.random.Generator, AugmentConfig],
    Labelled,
]


def draw_alignment(rng: np.random.Generator, settings: AugmentConfig, scale: float) -> Alignment:
    """Returns a random alignment around the model's own `scale` (the reference's distribution).

    The scale is normal with the configured mean relative to 0.9 and deviation, clipped to three
    deviations; the rotation is `rotation` * u^3 with u uniform in -1..1: mostly small.
    """
    mean, deviation = settings.scale
    jitter = np.clip(rng.normal(0.0, deviation), -3.0 * deviation, 3.0 * deviation)
    return Alignment(
        scale=float(scale * (mean + jitter) / 0.9),
        shift=tuple(rng.uniform(-settings.shift, settings.shift, 2).tolist()),
        rotation=float(settings.rotation * rng.uniform(-1.0, 1.0) ** 3),
        stretch=tuple(rng.uniform(*settings.stretch, 2).tolist()),
    )


def augment(picture: Labelled, rng: np.random.Generator, settings: AugmentConfig) -> Labelled:
    """Returns the picture after the drawn augmentations; `settings` holds each one's probability.

    Each takes its draws from a stream of its own, so that one never shifts another's.
    """
    if rng.random() < settings.flip:
        picture = flip(*picture, rng, settings)
    drawn = {}
    for name in AUGMENTATIONS:
        chosen = rng.random() < getattr(settings, name)
        stream = rng.integers(2**63)
        if chosen:
            drawn[name] = stream
    for name in sorted(drawn, key=_ORDER.index):
        stream = np.random.default_rng(drawn[name])
        picture = AUGMENTATIONS[name](*picture, stream, settings)
    return picture


def flip(image, boxes, mask, landmarks, rng=None, settings=None) -> Labelled:
    """Returns the picture mirrored left to right, with boxes, mask and landmarks."""
    return Labelled(
        cv2.flip(image, 1),
        geometry.mirror_boxes(boxes),
        None if mask is None else cv2.flip(mask, 1),
        geometry.mirror_landmarks(landmarks, image.shape[1]),
    )


def _in_place(
    change: Callable[[np.ndarray, np.random.Generator, AugmentConfig], np.ndarray],
) -> Augmentation:
    """An augmentation that changes pixels and moves nothing."""

    @functools.wraps(change)
    def augmentation(image, boxes, mask, landmarks, rng, settings) -> Labelled:
        return Labelled(change(image, rng, settings), boxes, mask, landmarks)

    return augmentation


@_in_place
def half_resolution(image, rng: np.random.Generator, settings: AugmentConfig) -> np.ndarray:
    """Returns the image shrunk to half and brought back."""
    size = image.shape[1::-1]
    small = cv2.resize(image, (size[0] // 2, size[1] // 2), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, size, interpolation=cv2.INTER_LINEAR)


@_in_place
def saturation(image, rng: np.random.Generator, settings: AugmentConfig) -> np.ndarray:
    """Returns the image with saturation and value scaled by up to 30 and 20 %."""
    levels = np.arange(256, dtype=np.float32)
    scaled = [levels, levels * rng.uniform(0.7, 1.3), levels * rng.uniform(0.8, 1.2)]
    table = _uint8(np.stack(scaled, axis=-1))[None]
    return cv2.cvtColor(cv2.LUT(cv2.cvtColor(image, cv2.COLOR_RGB2HSV), table), cv2.COLOR_HSV2RGB)


@_in_place
def gamma(image, rng: np.random.Generator, settings: AugmentConfig) -> np.ndarray:
    """Returns the image through v -> 255 (v / 255)^g with g drawn from `gamma_range`."""
    return cv2.LUT(image, gamma_table(rng.uniform(*settings.gamma_range)))


def gamma_table(exponent: float) -> np.ndarray:
    """Returns what 0..255 become under 255 (v / 255)^exponent, uint8 (256,)."""
    return _uint8(255.0 * (np.arange(256) / 255.0) ** exponent)


@_in_place
def blur(image, rng: np.random.Generator, settings: AugmentConfig) -> np.ndarray:
    """Returns the image under a Gaussian blur of 0.3 to 1 px at 112 (scaled with the canvas)."""
    sigma = rng.uniform(0.3, 1.0) * image.shape[0] / 112.0
    return cv2.GaussianBlur(image, (0, 0), sigma)


@_in_place
def noise(image, rng: np.random.Generator, settings: AugmentConfig) -> np.ndarray:
    """Returns the image with white noise of 1 to 6 grey levels."""
    grain = np.empty(image.shape, np.float32)
    # Faster than NumPy's; the seed makes it a function of the stream all the same.
    cv2.setRNGSeed(int(rng.integers(2**31)))
    return _sum(image, cv2.randn(grain, 0.0, rng.uniform(1.0, 6.0)))


@_in_place
def jpeg(image, rng: np.random.Generator, settings: AugmentConfig) -> np.ndarray:
    """Returns the image through JPEG of a quality drawn from `jpeg_quality`."""
    low, high = settings.jpeg_quality
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(int(low), int(high) + 1))]
    encoded = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), quality)[1]
    return cv2.imdecode(encoded, cv2.IMREAD_COLOR_RGB)


@_in_place
def contrast(image, rng: np.random.Generator, settings: AugmentConfig) -> np.ndarray:
    """Returns the image with its grey levels stretched to 0..255, up to 5 % cut at either end."""
    counts = np.cumsum(cv2.calcHist([image.reshape(-1, 1)], [0], None, [256], [0, 256]))
    cuts = rng.uniform(0.0, 0.05, 2)
    low, high = np.searchsorted(counts / counts[-1], (cuts[0], 1.0 - cuts[1]))
    if high <= low:
        return image
    return cv2.LUT(image, _uint8((np.arange(256) - low) * (255.0 / (high - low))))


@_in_place
def low_noise(image, rng: np.random.Generator, settings: AugmentConfig) -> np.ndarray:
    """Returns the image with smooth colour noise of 3 to 15 grey levels, 4 to 12 waves wide."""
    cells, strength = int(rng.integers(4, 13)), np.float32(rng.uniform(3.0, 15.0))
    knots = rng.standard_normal((cells, cells, 3), np.float32) * strength
    return _sum(image, cv2.resize(knots, image.shape[1::-1], interpolation=cv2.INTER_CUBIC))


@_in_place
def tone(image, rng: np.random.Generator, settings: AugmentConfig) -> np.ndarray:
    """Returns the image mixed with up to 20 % of one random colour."""
    return tinted(image, rng.uniform(0.0, 255.0, 3), rng.uniform(0.0, 0.2))


def tinted(image: np.ndarray, colour: np.ndarray, share: float) -> np.ndarray:
    """Returns (1 - share) image + share colour, (S, S, 3)."""
    levels = np.arange(256)[:, None] * (1.0 - share) + share * np.asarray(colour)
    return cv2.LUT(image, _uint8(levels)[None])


@_in_place
def motion_blur(image, rng: np.random.Generator, settings: AugmentConfig) -> np.ndarray:
    """Returns the image blurred along a line of 2 to 10 px of 224, in place."""
    length = rng.uniform(2.0, 10.0) * image.shape[0] / geometry.PUBLISHED_CANVAS
    return cv2.filter2D(image, -1, motion_kernel(rng.uniform(0.0, 180.0), length))


def motion_kernel(angle: float, length: float) -> np.ndarray:
    """Returns the even smear along a line of `length` px, (K, K) with sum 1 and K odd.

    `angle` is in degrees from the x axis, y downwards. The line lies on the middle: a one-sided
    kernel would shift the picture off its boxes.
    """
    steps = np.linspace(-0.5, 0.5, 4 * int(np.ceil(length)) + 1) * max(length - 1.0, 0.0)
    x, y = steps * np.cos(np.radians(angle)), steps * np.sin(np.radians(angle))
    reach = int(np.ceil(max(np.abs(x).max(), np.abs(y).max())))
    cells = np.arange(-reach, reach + 1)
    across, down = (np.maximum(1.0 - np.abs(cells - v[:, None]), 0.0) for v in (x, y))
    kernel = down.T @ across
    return (kernel / kernel.sum()).astype(np.float32)


@_in_place
def resample(image, rng: np.random.Generator, settings: AugmentConfig) -> np.ndarray:
    """Returns the image at 0.5 to 0.95 of its size and back, by any two interpolations."""
    size = image.shape[1::-1]
    there, back = (_INTERPOLATIONS[k] for k in rng.integers(len(_INTERPOLATIONS), size=2))
    small = np.maximum(np.rint(np.array(size) * rng.uniform(0.5, 0.95)), 1).astype(int).tolist()
    return cv2.resize(cv2.resize(image, small, interpolation=there), size, interpolation=back)


_INTERPOLATIONS = (
    cv2.INTER_NEAREST,
    cv2.INTER_LINEAR,
    cv2.INTER_CUBIC,
    cv2.INTER_AREA,
    cv2.INTER_LANCZOS4,
)

# In the order in which they are drawn: what is new goes last, for the draws of the others to stay.
AUGMENTATIONS: dict[str, Augmentation] = {
    "half_resolution": half_resolution,
    "saturation": saturation,
    "gamma": gamma,
    "blur": blur,
    "noise": noise,
    "jpeg": jpeg,
    "resample": resample,
    "contrast": contrast,
    "low_noise": low_noise,
    "tone": tone,
    "motion_blur": motion_blur,
}
# In the order in which a picture meets them: light, lens, sensor, file.
_ORDER = (
    *("half_resolution", "resample", "contrast", "low_noise", "saturation", "gamma", "tone"),
    *("motion_blur", "blur", "noise", "jpeg"),
)


def _sum(image: np.ndarray, change: np.ndarray) -> np.ndarray:
    """The image with float32 changes added, rounded to uint8, in one pass."""
    return cv2.add(image.astype(np.float32), change, dtype=cv2.CV_8U)


def _uint8(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
