"""Self-blended images: a genuine face blended with a slightly changed copy of itself.

After "Detecting Deepfakes with Self-Blended Images" (Shiohara and Yamasaki, CVPR 2022). Nobody
else's face is needed, and what the fake shows besides the genuine picture is a boundary between
two colours, resolutions and positions.
"""

from typing import Any

import cv2
import numpy as np

from iid_jax.config import SelfBlendConfig
from iid_jax.forgery import blend, generator, hulls, masks
from iid_jax.forgery.generator import WHOLE, Forgery

_ATTEMPTS = 4


class Generator(generator.Generator):
    """Blends a genuine face with its changed copy; `manipulated` is not looked at.

    Either the copy or the background is changed in colour and resolution, the copy is moved. The
    background comes with the fake as `genuine`: shown one without the other, a detector would
    learn the change itself. Recipe: hull, deform, feather, inwards, ratio, changed (source or
    target), colour and resolution, scale, shift, difference (grey levels inside the mask), redraws.
    """

    source = "self"

    def forge(self, genuine, manipulated, faces, rng) -> Forgery | None:
        settings: SelfBlendConfig = self.settings
        for redraws in range(_ATTEMPTS):
            area, recipe = hulls.draw(
                faces[-1], genuine.shape[:2], rng, settings.deform, settings.feather
            )
            source, target, drawn = _pair(genuine, rng, settings)
            # A weak blend that cannot be seen is drawn again at full strength.
            ratio = 1.0 if redraws else float(rng.choice(settings.ratios))
            image = blend.alpha(target, source, area * np.float32(ratio))
            difference = masks.grey_difference(target, image, area)
            box = masks.tight_box(area)
            if box is None or (difference < settings.min_difference and not settings.null):
                continue
            recipe |= {"ratio": ratio, **drawn, "difference": difference, "redraws": redraws}
            return Forgery(image, np.array([WHOLE, box], np.float32), area, recipe, target)
        return None


def _pair(
    genuine: np.ndarray, rng: np.random.Generator, settings: SelfBlendConfig
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Source and target of the blend, and what was drawn to make them differ."""
    if settings.null:
        return genuine, genuine, {"changed": "nothing"}
    changed, drawn = _recoloured(genuine, rng, settings)
    changed, resolution = _resampled(changed, rng)
    on_source = bool(rng.random() < 0.5)
    source, target = (changed, genuine) if on_source else (genuine, changed)
    moved, movement = _moved(source, rng, settings)
    recipe = {"changed": "source" if on_source else "target", **drawn, **resolution, **movement}
    return moved, target, recipe


def _recoloured(
    image: np.ndarray, rng: np.random.Generator, settings: SelfBlendConfig
) -> tuple[np.ndarray, dict[str, Any]]:
    shift = rng.uniform(-settings.colour, settings.colour, 3)
    hue, saturation, value = rng.uniform(-settings.tone, settings.tone, 3)
    gain = 1.0 + rng.uniform(-settings.contrast, settings.contrast)
    offset = 255.0 * rng.uniform(-settings.contrast, settings.contrast) / 2.0
    hsv = cv2.cvtColor(cv2.LUT(image, _levels(np.ones(3), shift)), cv2.COLOR_RGB2HSV)
    turned = _levels(1.0 + np.array([0.0, saturation, value]), np.zeros(3))
    # OpenCV's hue is 0..179 and wraps around; a face stays a face within a few degrees.
    turned[0, :, 0] = (np.arange(256) + round(10.0 * hue)) % 180
    image = cv2.cvtColor(cv2.LUT(hsv, turned), cv2.COLOR_HSV2RGB)
    image = cv2.LUT(image, _levels(np.full(1, gain), np.full(1, offset)))
    tone = [float(v) for v in (hue, saturation, value)]
    return image, {"colour": shift.tolist(), "tone": tone, "contrast": [float(gain), float(offset)]}


def _resampled(image: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, dict[str, Any]]:
    """The image through a half or a quarter of its resolution, or sharpened."""
    kind = ("half", "quarter", "sharper")[rng.integers(3)]
    if kind == "sharper":
        amount = float(rng.uniform(0.2, 1.0))
        blurred = cv2.GaussianBlur(image, (0, 0), image.shape[1] / 112.0)
        sharper = cv2.addWeighted(image, 1.0 + amount, blurred, -amount, 0.0)
        return sharper, {"resolution": kind, "amount": amount}
    size = image.shape[1::-1]
    divisor = 2 if kind == "half" else 4
    small = tuple(max(side // divisor, 1) for side in size)
    small = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
    return cv2.resize(small, size, interpolation=cv2.INTER_LINEAR), {"resolution": kind}


def _moved(
    image: np.ndarray, rng: np.random.Generator, settings: SelfBlendConfig
) -> tuple[np.ndarray, dict[str, Any]]:
    side = image.shape[1]
    scale = 1.0 + rng.uniform(-settings.scale, settings.scale)
    shift = rng.uniform(-1.0, 1.0, 2) * settings.shift * side
    middle = (side - 1) / 2.0
    offset = middle * (1.0 - scale) + shift
    matrix = np.array([[scale, 0.0, offset[0]], [0.0, scale, offset[1]]])
    moved = cv2.warpAffine(image, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE)
    return moved, {"scale": float(scale), "shift": shift.tolist()}


def _levels(gain: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """What v -> gain v + offset makes of 0..255, for each channel: uint8 (1, 256, C)."""
    values = np.arange(256)[:, None] * gain + offset
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)[None]
