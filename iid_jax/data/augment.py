"""Augmentations of a finished canvas, drawn with the same probabilities for both labels.

Each is a function of (image, rng, settings) that keeps the geometry; `flip` alone moves boxes,
mask and landmarks as well.
"""

import dataclasses

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


def flip(
    image: np.ndarray, boxes: np.ndarray, mask: np.ndarray, landmarks: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Returns mirrored: image (S, S, 3), boxes (K, 4) in 0..1, mask (S, S), landmarks (68, 2)."""
    landmarks = geometry.mirror_landmarks(landmarks, image.shape[1])
    mirrored = geometry.mirror_boxes(boxes)
    return image[:, ::-1].copy(), mirrored, mask[:, ::-1].copy(), landmarks


def photometric(image: np.ndarray, rng: np.random.Generator, settings: AugmentConfig) -> np.ndarray:
    """Returns the image after the drawn photometric augmentations, in a fixed order."""
    for name, function in PHOTOMETRIC.items():
        chosen = rng.random() < getattr(settings, name)
        # Each takes its draws from a stream of its own, so that one never shifts another's.
        stream = np.random.default_rng(rng.integers(2**63))
        if chosen:
            image = function(image, stream, settings)
    return image


def half_resolution(image, rng: np.random.Generator, settings: AugmentConfig) -> np.ndarray:
    """Returns the image shrunk to half and brought back."""
    size = image.shape[1::-1]
    small = cv2.resize(image, (size[0] // 2, size[1] // 2), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, size, interpolation=cv2.INTER_LINEAR)


def saturation(image, rng: np.random.Generator, settings: AugmentConfig) -> np.ndarray:
    """Returns the image with saturation and value scaled by up to 30 and 20 %."""
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV).astype(np.float32)
    hsv[..., 1] *= rng.uniform(0.7, 1.3)
    hsv[..., 2] *= rng.uniform(0.8, 1.2)
    return cv2.cvtColor(_uint8(hsv), cv2.COLOR_HSV2RGB)


def gamma(image, rng: np.random.Generator, settings: AugmentConfig) -> np.ndarray:
    """Returns the image through v -> 255 (v / 255)^g with g drawn from `gamma_range`."""
    exponent = rng.uniform(*settings.gamma_range)
    table = _uint8(255.0 * (np.arange(256) / 255.0) ** exponent)
    return cv2.LUT(image, table)


def blur(image, rng: np.random.Generator, settings: AugmentConfig) -> np.ndarray:
    """Returns the image under a Gaussian blur of 0.3 to 1 px at 112 (scaled with the canvas)."""
    sigma = rng.uniform(0.3, 1.0) * image.shape[0] / 112.0
    return cv2.GaussianBlur(image, (0, 0), sigma)


def noise(image, rng: np.random.Generator, settings: AugmentConfig) -> np.ndarray:
    """Returns the image with white noise of 1 to 6 grey levels."""
    grain = rng.standard_normal(image.shape, np.float32) * np.float32(rng.uniform(1.0, 6.0))
    return _uint8(image + grain)


def jpeg(image, rng: np.random.Generator, settings: AugmentConfig) -> np.ndarray:
    """Returns the image through JPEG of a quality drawn from `jpeg_quality`."""
    low, high = settings.jpeg_quality
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(int(low), int(high) + 1))]
    encoded = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), quality)[1]
    return cv2.imdecode(encoded, cv2.IMREAD_COLOR_RGB)


PHOTOMETRIC = {
    "half_resolution": half_resolution,
    "saturation": saturation,
    "gamma": gamma,
    "blur": blur,
    "noise": noise,
    "jpeg": jpeg,
}


def _uint8(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
