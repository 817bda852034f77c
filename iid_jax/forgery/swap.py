"""Multi-scale facial swap: a manipulated face, whole or in part, put back over its pristine frame.

After "Implicit Identity Leakage" (CVPR 2023), section 3.2. Both pictures are already aligned to
one canvas by one matrix, so what differs between them is what the manipulation did, and the area
that is pasted is known.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any, Literal

import cv2
import numpy as np

from iid_jax import geometry
from iid_jax.config import SwapConfig
from iid_jax.forgery import blend, generator, masks
from iid_jax.forgery.generator import WHOLE, Forgery

Mode = Literal["untouched", "global", "partial"]

# Windows lie on a grid of 8 px; the cells are those of the finest map of anchors, 7 x 7 of 224 px.
_GRID, _CELL = 8.0, 32.0
_GLOBAL_ATTEMPTS = 3
_ATTEMPTS_PER_SCALE = 4
# Feathers and deformations are drawn from this share of the configured length upwards.
_LEAST_SHARE = 0.25


class Generator(generator.Generator):
    """Swaps a fake's face, whole or in part, over its pristine frame, or leaves the fake as it is.

    The option `mode` sets what is drawn otherwise. Recipe: mode, blend, feather, deform, window,
    scale (index), difference (mean grey levels to the pristine canvas inside the mask),
    redraws (attempts thrown away before this one), poisson_fallbacks.
    """

    source = "fake"

    def forge(self, genuine, manipulated, faces, rng, mode: Mode | None = None) -> Forgery | None:
        mode = mode or draw_mode(rng, self.settings)
        if mode == "untouched":
            return Forgery(manipulated, np.array([WHOLE], np.float32), None, {"mode": mode})
        return swap(genuine, manipulated, faces[0], rng, self.settings, mode, *faces[1:])


def draw_mode(rng: np.random.Generator, settings: SwapConfig) -> Mode:
    """Returns a mode with the configured probabilities; an untouched fake is not swapped at all."""
    modes: tuple[Mode, ...] = ("untouched", "global", "partial")
    chances = (settings.untouched, settings.global_, settings.partial)
    edges = np.cumsum(chances) / np.sum(chances)
    return modes[int(np.searchsorted(edges, rng.random(), side="right"))]


def swap(
    genuine: np.ndarray,
    manipulated: np.ndarray,
    landmarks: np.ndarray,
    rng: np.random.Generator,
    settings: SwapConfig,
    mode: Mode,
    pristine_landmarks: np.ndarray | None = None,
) -> Forgery | None:
    """Returns the pristine canvas with the manipulated face, or a window of it, swapped in.

    `genuine`, `manipulated`: uint8 (S, S, 3) under one alignment. `landmarks` (68, 2), canvas
    pixels, are the fake's; `pristine_landmarks`, where given, widen the hull. None where nothing
    that was drawn differs from the pristine canvas by `settings.min_difference`, so that no fake
    label lands on genuine pixels. A null swap puts the genuine face over itself and skips that.
    Raises ValueError for mode "untouched" and for canvases that differ in shape.
    """
    _check(genuine, manipulated, mode)
    if settings.null:
        manipulated = genuine
    faces = [landmarks] if pristine_landmarks is None else [landmarks, pristine_landmarks]
    hull = masks.face(genuine.shape[:2], *faces)
    if not hull.any():
        return None
    areas = _whole_faces if mode == "global" else _windows
    for redraws, area in enumerate(areas(genuine, manipulated, hull, rng, settings)):
        forged = _compose(genuine, manipulated, area, rng, settings)
        if forged is not None:
            recipe = {"mode": mode, **area.recipe, **forged.recipe, "redraws": redraws}
            return dataclasses.replace(forged, recipe=recipe)
    return None


@dataclasses.dataclass(frozen=True)
class _Area:
    """A drawn mask and how it came about; local where its box is to be found by the detector."""

    mask: np.ndarray
    local: bool
    recipe: dict[str, Any]


def _check(genuine: np.ndarray, manipulated: np.ndarray, mode: str) -> None:
    if mode not in ("global", "partial"):
        raise ValueError(f"mode must be 'global' or 'partial', got {mode!r}")
    if genuine.shape != manipulated.shape or genuine.shape[0] != genuine.shape[1]:
        shapes = f"{genuine.shape} and {manipulated.shape}"
        raise ValueError(f"a swap needs two square canvases of one size, got {shapes}")


def _pixels(length: float, canvas: int) -> float:
    return length * canvas / geometry.PUBLISHED_CANVAS


def _draw_length(longest: float, rng: np.random.Generator, canvas: int) -> float:
    return _pixels(rng.uniform(_LEAST_SHARE, 1.0) * longest, canvas)


def _whole_faces(
    genuine: np.ndarray,
    manipulated: np.ndarray,
    hull: np.ndarray,
    rng: np.random.Generator,
    settings: SwapConfig,
) -> Iterator[_Area]:
    """Yields randomly deformed hulls."""
    canvas = len(hull)
    for _ in range(_GLOBAL_ATTEMPTS):
        strength = _draw_length(settings.deform, rng, canvas)
        mask = masks.deform(hull, rng, strength)
        yield _Area(mask, False, {"deform": strength, "scale": None, "window": None})


def _windows(
    genuine: np.ndarray,
    manipulated: np.ndarray,
    hull: np.ndarray,
    rng: np.random.Generator,
    settings: SwapConfig,
) -> Iterator[_Area]:
    """Yields windows of random size where the two faces differ most, cut to the hull.

    The scale first drawn is kept for several attempts, so that the scales stay equally frequent.
    """
    canvas = len(hull)
    difference = masks.difference_inside(genuine, manipulated, hull)
    integrals = _integral(hull), _integral(difference)
    for scale in rng.permutation(len(settings.scales)).tolist():
        for _ in range(_ATTEMPTS_PER_SCALE):
            sides = rng.permutation(settings.scales[scale])
            sides = _pixels(sides * rng.uniform(*settings.window_jitter, 2), canvas)
            width, height = np.clip(np.rint(sides), 2, canvas).astype(int).tolist()
            bounds = _draw_window(integrals, width, height, rng, settings)
            if bounds is not None:
                mask = masks.window(bounds, hull.shape) * hull
                yield _Area(mask, True, {"deform": 0.0, "scale": scale, "window": bounds})


def _draw_window(
    integrals: tuple[np.ndarray, np.ndarray],
    width: int,
    height: int,
    rng: np.random.Generator,
    settings: SwapConfig,
) -> tuple[int, int, int, int] | None:
    """Draws one of the positions enough inside the hull whose mean difference is near the best.

    First the cell of the canvas that the window's centre lies in, then the position: the rim of
    the face, where cells have few positions, is met as often as its middle.
    """
    canvas = len(integrals[0]) - 1
    step = max(round(_pixels(_GRID, canvas)), 1)
    inside, difference = (_sums(total, width, height, step) for total in integrals)
    enough = inside >= settings.hull_overlap * width * height
    if not enough.any():
        return None
    mean = np.where(enough, difference / np.maximum(inside, 1.0), -np.inf)
    good = np.argwhere(mean >= settings.dssim_share * mean.max())
    size = _pixels(_CELL, canvas)
    cells = ((good * step + (height / 2, width / 2)) // size) @ (canvas, 1)
    cell = rng.choice(np.unique(cells))
    row, column = rng.choice(good[cells == cell])
    left, top = int(column) * step, int(row) * step
    return left, top, left + width, top + height


def _integral(values: np.ndarray) -> np.ndarray:
    return cv2.integral(values, sdepth=cv2.CV_64F)


def _sums(total: np.ndarray, width: int, height: int, step: int) -> np.ndarray:
    """The sum in every window of this size, at every `step`-th row and column, of an integral."""
    tall = total[height::step] - total[:-height:step]
    return tall[:, width::step] - tall[:, :-width:step]


def _compose(
    genuine: np.ndarray,
    manipulated: np.ndarray,
    area: _Area,
    rng: np.random.Generator,
    settings: SwapConfig,
) -> Forgery | None:
    """Feathers and blends one area; None where the composite hardly differs from the genuine."""
    width = _draw_length(settings.feather, rng, len(genuine))
    mask = masks.feather(area.mask, width)
    by_poisson = bool(rng.random() < settings.poisson)
    box = masks.tight_box(mask)
    if box is None:
        return None
    if by_poisson:
        image, fell_back = blend.poisson(genuine, manipulated, mask)
    else:
        image, fell_back = blend.alpha(genuine, manipulated, mask), False
    difference = masks.grey_difference(genuine, image, mask)
    if difference < settings.min_difference and not settings.null:
        return None
    recipe = {
        "blend": "poisson" if by_poisson and not fell_back else "alpha",
        "feather": width,
        "difference": difference,
        "poisson_fallbacks": int(fell_back),
    }
    boxes = np.array([WHOLE, box] if area.local else [WHOLE], np.float32)
    return Forgery(image, boxes, mask, recipe)
