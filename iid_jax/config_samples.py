"""How training samples are made: the part of the configuration that says it, and its checks.

Names in messages are the user's: `config.data.swap` and so on (see `config.py`).
"""

import dataclasses
import math
from typing import Any

from iid_jax.errors import UsageError

Range = tuple[float, float]


def probabilities(where: str, group: Any, *names: str) -> None:
    """Raises UsageError where one of the named values of a group is not 0 to 1."""
    for name in names:
        if not 0.0 <= getattr(group, name) <= 1.0:
            raise UsageError(f"config.{where}.{name} must be 0 to 1, got {getattr(group, name)}")


def share(where: str, group: Any, *names: str) -> None:
    """Raises UsageError where one of the named values of a group is not between 0 and 1."""
    for name in names:
        if not 0.0 < getattr(group, name) < 1.0:
            value = getattr(group, name)
            raise UsageError(f"config.{where}.{name} must be above 0 and below 1, got {value}")


def at_least(where: str, group: Any, low: float, *names: str) -> None:
    """Raises UsageError where one of the named values of a group is below `low`."""
    for name in names:
        if not getattr(group, name) >= low:
            value = getattr(group, name)
            raise UsageError(f"config.{where}.{name} must be at least {low}, got {value}")


def ranges(where: str, group: Any, low: float, high: float, *names: str) -> None:
    """Raises UsageError where a named range of a group does not rise within `low` to `high`."""
    for name in names:
        first, last = getattr(group, name)
        if not low <= first <= last <= high:
            raise UsageError(
                f"config.{where}.{name} must rise, within {low} to {high}, got ({first}, {last})"
            )


@dataclasses.dataclass(frozen=True)
class SwapConfig:
    """How the multi-scale facial swap makes fakes (pixels are for a canvas of 224).

    A swap changes its canvas by `min_difference` grey levels inside the mask.
    """

    untouched: float = 0.2
    global_: float = 0.4
    partial: float = 0.4
    poisson: float = 0.5
    null: bool = False
    scales: tuple[tuple[float, float], ...] = ((40.0, 80.0), (80.0, 120.0), (120.0, 160.0))
    window_jitter: Range = (0.75, 1.33)
    hull_overlap: float = 0.6
    dssim_share: float = 0.3
    min_difference: float = 2.0
    deform: float = 8.0
    feather: float = 7.0

    def __post_init__(self):
        probabilities("data.swap", self, "untouched", "global_", "partial", "poisson")
        share("data.swap", self, "hull_overlap", "dssim_share")
        at_least("data.swap", self, 0, "deform", "feather", "min_difference")
        ranges("data.swap", self, 0.1, 10.0, "window_jitter")
        if not self.scales or not all(1.0 <= a <= b <= 224.0 for a, b in self.scales):
            raise UsageError(
                "config.data.swap.scales must be pairs of rising sides, 1 to 224 px, got "
                f"{self.scales}"
            )
        if not math.isclose(self.untouched + self.global_ + self.partial, 1.0, abs_tol=1e-6):
            raise UsageError(
                "config.data.swap: untouched + global_ + partial must be 1, "
                f"got {self.untouched} + {self.global_} + {self.partial}"
            )


@dataclasses.dataclass(frozen=True)
class SelfBlendConfig:
    """How self-blended images are made (pixels are for a canvas of 224, shares are of a side).

    `ratios` are drawn from evenly; `colour` is the largest shift in grey levels; a blend changes
    its face by `min_difference` grey levels inside the mask.
    """

    null: bool = False
    ratios: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0, 1.0, 1.0)
    colour: float = 20.0
    tone: float = 0.3
    contrast: float = 0.1
    shift: Range = (0.03, 0.015)
    scale: float = 0.05
    deform: float = 10.0
    feather: float = 14.0
    min_difference: float = 2.0

    def __post_init__(self):
        probabilities("data.self_blend", self, "tone", "contrast", "scale")
        at_least("data.self_blend", self, 0, "colour", "deform", "feather", "min_difference")
        if not self.ratios or not all(0.0 < ratio <= 1.0 for ratio in self.ratios):
            raise UsageError(f"config.data.self_blend.ratios must be above 0 to 1: {self.ratios}")


@dataclasses.dataclass(frozen=True)
class CrossBlendConfig:
    """How one person's face is blended over another's (pixels are for a canvas of 224).

    The donor is, of `candidates` other people's pictures, the one with the nearest landmarks.
    """

    null: bool = False
    candidates: int = 100
    colour: Range = (0.7, 1.0)
    deform: float = 10.0
    feather: float = 14.0
    min_difference: float = 2.0

    def __post_init__(self):
        at_least("data.cross_blend", self, 1, "candidates")
        at_least("data.cross_blend", self, 0, "deform", "feather", "min_difference")
        ranges("data.cross_blend", self, 0.0, 1.0, "colour")


@dataclasses.dataclass(frozen=True)
class AugmentConfig:
    """Probabilities and strengths of the augmentations, the same for both labels.

    The default is the quickstart's mix; `resample` and what follows it are the published pipeline's
    others. Its probabilities are in configs/paper.py.
    """

    scale: Range = (0.9, 0.1)
    shift: float = 25.0
    rotation: float = 30.0
    stretch: Range = (0.97, 1.03)
    flip: float = 0.5
    half_resolution: float = 0.1
    jpeg: float = 0.3
    jpeg_quality: Range = (15, 80)
    blur: float = 0.1
    noise: float = 0.2
    gamma: float = 0.2
    gamma_range: Range = (0.6, 1.4)
    saturation: float = 0.2
    resample: float = 0.0
    contrast: float = 0.0
    low_noise: float = 0.0
    tone: float = 0.0
    motion_blur: float = 0.0

    def __post_init__(self):
        names = ("flip", "half_resolution", "jpeg", "blur", "noise", "gamma", "saturation")
        names += ("resample", "contrast", "low_noise", "tone", "motion_blur")
        probabilities("data.augment", self, *names)
        at_least("data.augment", self, 0, "shift", "rotation")
        ranges("data.augment", self, 1, 100, "jpeg_quality")
        ranges("data.augment", self, 0.1, 10.0, "stretch", "gamma_range")
        mean, deviation = self.scale
        if not mean > 3.0 * deviation >= 0.0:
            raise UsageError(
                "config.data.augment.scale must be a mean and a deviation below a third of it, got "
                f"{self.scale}"
            )
