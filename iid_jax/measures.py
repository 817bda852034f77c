"""What metrics are made of: a value with its interval, counts by falling score, and draws.

All measures are read off the counts of fakes and genuine ones at or above each score, and an
interval draws whole clusters (videos, people) with replacement: a draw is a weight on each row, so
that a table is sorted once for all draws.
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

QUANTILES = (0.025, 0.975)
THRESHOLD = 0.5


@dataclasses.dataclass(frozen=True)
class Metric:
    """A value with its 95 % interval over `n_videos` videos; `value` None has a `reason`.

    `lo` and `hi` are None where no interval was drawn or too few videos allow none (`reason`).
    """

    value: float | None
    lo: float | None = None
    hi: float | None = None
    n_videos: int = 0
    reason: str = ""


class Counts(NamedTuple):
    """By falling score: fakes and genuine ones at or above each of T scores, (draws, T + 1)."""

    hits: np.ndarray
    alarms: np.ndarray
    at_threshold: int


def _auc(counts: Counts) -> np.ndarray:
    """The trapezoids under the ROC curve: ties between a fake and a genuine one count half."""
    width, height = np.diff(counts.alarms), counts.hits[:, 1:] + counts.hits[:, :-1]
    area = (width * height).sum(axis=1) / 2.0
    return area / (counts.hits[:, -1] * counts.alarms[:, -1])


def _average_precision(counts: Counts) -> np.ndarray:
    hits, called = counts.hits[:, 1:], counts.hits[:, 1:] + counts.alarms[:, 1:]
    precision = np.divide(hits, called, out=np.zeros_like(hits), where=called > 0)
    return (np.diff(counts.hits) * precision).sum(axis=1) / counts.hits[:, -1]


def _eer(counts: Counts) -> np.ndarray:
    false = counts.alarms / counts.alarms[:, -1:]
    gap = 1.0 - counts.hits / counts.hits[:, -1:] - false  # falls from 1 to -1
    after = np.argmax(gap <= 0.0, axis=1)
    row = np.arange(len(gap))
    above, below = gap[row, after - 1], gap[row, after]
    start = false[row, after - 1]
    return start + above / (above - below) * (false[row, after] - start)


def _accuracy(counts: Counts) -> np.ndarray:
    right = counts.hits[:, counts.at_threshold] - counts.alarms[:, counts.at_threshold]
    return (right + counts.alarms[:, -1]) / (counts.hits[:, -1] + counts.alarms[:, -1])


def _tpr_at(share: float) -> Callable[[Counts], np.ndarray]:
    def measure(counts: Counts) -> np.ndarray:
        # Of thresholds that exist: between two of them nothing is interpolated.
        allowed = counts.alarms <= share * counts.alarms[:, -1:] + 1e-9
        return np.where(allowed, counts.hits, 0.0).max(axis=1) / counts.hits[:, -1]

    return measure


# Fakes found at no more than this share of genuine ones called fake.
FPRS = {"tpr_at_1pct_fpr": 0.01, "tpr_at_0.1pct_fpr": 0.001}
MEASURES: dict[str, Callable[[Counts], np.ndarray]] = {
    "auc": _auc,
    "ap": _average_precision,
    "eer": _eer,
    "acc": _accuracy,
    **{name: _tpr_at(share) for name, share in FPRS.items()},
}


class Sorted(NamedTuple):
    """Rows by falling score: `label`, `cluster`, where runs of equal scores `end`."""

    label: np.ndarray
    cluster: np.ndarray
    ends: np.ndarray
    at_threshold: int


def sort(label: np.ndarray, score: np.ndarray, cluster: np.ndarray) -> Sorted:
    """Returns the rows, labels 0/1 and clusters (N,), by falling score (N,)."""
    order = np.argsort(-score, kind="stable")
    falling = score[order]
    ends = np.flatnonzero(np.r_[falling[1:] != falling[:-1], True])
    at_threshold = int((falling[ends] >= THRESHOLD).sum())
    return Sorted(label[order], cluster[order], ends, at_threshold)


def count(rows: Sorted, weights: np.ndarray) -> Counts:
    """Returns the counts under the weights (draws, clusters) of the clusters."""
    weight = weights[:, rows.cluster]
    hits = np.cumsum(weight * rows.label, axis=1)[:, rows.ends]
    both = np.cumsum(weight, axis=1)[:, rows.ends]
    start = ((0, 0), (1, 0))
    hits, both = (np.pad(part.astype(np.float64), start) for part in (hits, both))
    return Counts(hits, both - hits, rows.at_threshold)


def resample(size: int, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Returns how often each of `size` things is drawn, with replacement, (draws, size)."""
    drawn = rng.integers(size, size=(draws, size)) + size * np.arange(draws)[:, None]
    return np.bincount(drawn.ravel(), minlength=draws * size).reshape(draws, size)


def interval(parts: list[np.ndarray]) -> tuple[float | None, float | None]:
    """Returns the 95 % interval over the values (draws,) of all parts, None without any."""
    values = np.concatenate(parts) if parts else np.zeros(0)
    if not len(values):
        return None, None
    lo, hi = np.quantile(values, QUANTILES)
    return float(lo), float(hi)


def wider(
    intervals: list[tuple[float | None, float | None]],
) -> tuple[float | None, float | None]:
    """Returns the widest of the intervals, the first of equals; (None, None) without any."""
    drawn = [(lo, hi) for lo, hi in intervals if lo is not None and hi is not None]
    return max(drawn, key=lambda pair: pair[1] - pair[0], default=(None, None))


def columns(
    key: np.ndarray, label: np.ndarray, score: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns three arrays (N,), the last of floats.

    Raises:
      ValueError: they are not equally long, or not one-dimensional.
    """
    key, label, score = np.asarray(key), np.asarray(label), np.asarray(score, np.float64)
    if not key.shape == label.shape == score.shape == (len(score),):
        shapes = f"{key.shape}, {label.shape} and {score.shape}"
        raise ValueError(f"columns must be equally long and one-dimensional, got {shapes}")
    return key, label, score
