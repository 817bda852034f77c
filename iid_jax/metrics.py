"""Numbers of a table of scores: AUC, AP, EER and accuracy by frame and by video, with intervals.

NumPy only. What cannot be computed (one class, no rows, no scores) is a Metric without a value
and with the reason; a number is never made up. All measures are read off the counts of fakes and
genuine ones at or above each score, and an interval draws whole clusters (videos, people) with
replacement: a draw is a weight on each row, so that a table is sorted once for all draws.
"""

import dataclasses
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from iid_jax.errors import UsageError, nearest

QUANTILES = (0.025, 0.975)
THRESHOLD = 0.5
MATCH_IOU = 0.5
NAMES = ("genuine", "fake")
# Rows times draws that are counted at once: bounds memory at some ten arrays of 8 MB.
CHUNK = 2**20


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


class _Counts(NamedTuple):
    """By falling score: fakes and genuine ones at or above each of T scores, (draws, T + 1)."""

    hits: np.ndarray
    alarms: np.ndarray
    at_threshold: int


def _auc(counts: _Counts) -> np.ndarray:
    """The trapezoids under the ROC curve: ties between a fake and a genuine one count half."""
    width, height = np.diff(counts.alarms), counts.hits[:, 1:] + counts.hits[:, :-1]
    area = (width * height).sum(axis=1) / 2.0
    return area / (counts.hits[:, -1] * counts.alarms[:, -1])


def _average_precision(counts: _Counts) -> np.ndarray:
    hits, called = counts.hits[:, 1:], counts.hits[:, 1:] + counts.alarms[:, 1:]
    precision = np.divide(hits, called, out=np.zeros_like(hits), where=called > 0)
    return (np.diff(counts.hits) * precision).sum(axis=1) / counts.hits[:, -1]


def _eer(counts: _Counts) -> np.ndarray:
    false = counts.alarms / counts.alarms[:, -1:]
    gap = 1.0 - counts.hits / counts.hits[:, -1:] - false  # falls from 1 to -1
    after = np.argmax(gap <= 0.0, axis=1)
    row = np.arange(len(gap))
    above, below = gap[row, after - 1], gap[row, after]
    start = false[row, after - 1]
    return start + above / (above - below) * (false[row, after] - start)


def _accuracy(counts: _Counts) -> np.ndarray:
    right = counts.hits[:, counts.at_threshold] - counts.alarms[:, counts.at_threshold]
    return (right + counts.alarms[:, -1]) / (counts.hits[:, -1] + counts.alarms[:, -1])


MEASURES: dict[str, Callable[[_Counts], np.ndarray]] = {
    "auc": _auc,
    "ap": _average_precision,
    "eer": _eer,
    "acc": _accuracy,
}
# Accuracy is defined for one class too, but a number that the class balance decides is no use.
METRICS = tuple(f"{level}_{name}" for level in ("video", "frame") for name in MEASURES)


def auc(label: np.ndarray, score: np.ndarray) -> float:
    """Returns the area under the ROC curve of labels 0/1 (N,); ties count half.

    Raises ValueError, as the other three do, for one class only and for scores of NaN.
    """
    return _point("auc", label, score)


def average_precision(label: np.ndarray, score: np.ndarray) -> float:
    """Returns the area under the precision-recall curve of labels 0/1 (N,), by steps."""
    return _point("ap", label, score)


def eer(label: np.ndarray, score: np.ndarray) -> float:
    """Returns the error rate at which as many fakes pass as genuine ones are refused.

    Between two thresholds the ROC curve is a straight line.
    """
    return _point("eer", label, score)


def accuracy(label: np.ndarray, score: np.ndarray) -> float:
    """Returns the share on the right side of 0.5, which itself is called fake."""
    return _point("acc", label, score)


def video_table(
    video: np.ndarray, label: np.ndarray, score: np.ndarray, data: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns (names, labels, mean scores) of the videos, told apart by (`data`, `video`).

    Without `data` all rows are one data set's; with it a name is `<data>:<video>`.

    Raises:
      ValueError: a video with frames of both labels, a label other than 0 and 1.
    """
    video, label, score = _columns(video, label, score)
    names, index = _videos(video, data)
    count = np.bincount(index, minlength=len(names))
    return names, _labels(names, index, label), np.bincount(index, score, len(names)) / count


def evaluate_scores(
    video: np.ndarray,
    label: np.ndarray,
    score: np.ndarray,
    names: Iterable[str] = METRICS,
    bootstrap: int = 1000,
    seed: int = 0,
    data: np.ndarray | None = None,
) -> dict[str, Metric]:
    """Returns the named metrics of frames: video ids, labels 0/1 and P(fake), each (N,).

    A video is told by (`data`, `video`) and scores the mean of its frames. Frames whose score is
    not finite have none: they are left out, and the caller counts them. Intervals are percentiles
    of `bootstrap` draws of whole videos (0: none), genuine and fake ones apart.

    Raises:
      ValueError: a video with frames of both labels, a label other than 0 and 1.
      UsageError: an unknown metric.
    """
    names = tuple(names)
    for name in names:
        if name not in METRICS:
            raise UsageError(f"unknown metric {name!r}{nearest(name, METRICS)}")
    video, label, score = _columns(video, label, score)
    known = np.isfinite(score)
    ids, index = _videos(video, data)
    video_label = _labels(ids, index, label)
    reason = _undefined(label, known)
    if reason:
        return {
            name: Metric(None, n_videos=len(np.unique(index[known])), reason=reason)
            for name in names
        }
    present, index = np.unique(index[known], return_inverse=True)
    side, label, score = video_label[present], label[known], score[known]
    means = np.bincount(index, score) / np.bincount(index)
    levels = {
        "video": _sort(side, means, np.arange(len(side))),
        "frame": _sort(label, score, index),
    }
    wanted = {name: (levels[name.partition("_")[0]], name.partition("_")[2]) for name in names}
    return _measure(wanted, side, bootstrap, seed, "videos")


def separation(
    identity: np.ndarray, group: np.ndarray, score: np.ndarray, bootstrap: int = 1000, seed: int = 0
) -> Metric:
    """Returns the frame AUC of `group` 1 against 0, its interval by a bootstrap over identities.

    With donors of training fakes as 1 and new people as 0 this is the leak AUC: 0.5 is no leak.
    `n_videos` counts the people; one who is in both groups makes it undefined.
    """
    identity, group, score = _columns(identity, group, score)
    _check_labels(group)
    known = np.isfinite(score)
    people, index = np.unique(identity[known], return_inverse=True)
    reason = _undefined(group, known, "group", ("0", "1"))
    share = np.bincount(index, group[known]) / np.maximum(np.bincount(index), 1)
    mixed = (share > 0.0) & (share < 1.0)
    if not reason and mixed.any():
        reason = f"{str(people[mixed][0])!r} is in both groups"
    if reason:
        return Metric(None, n_videos=len(people), reason=reason)
    rows = _sort(group[known], score[known], index)
    wanted = {"leak": (rows, "auc")}
    return _measure(wanted, share.astype(int), bootstrap, seed, "people")["leak"]


def localisation(
    video: np.ndarray,
    truths: np.ndarray,
    predicted: np.ndarray,
    bootstrap: int = 1000,
    seed: int = 0,
) -> dict[str, Metric]:
    """Returns `box_recall` and `false_boxes` (per picture) of N pictures, at IoU 0.5.

    `truths` (N, K, 4) and `predicted` (N, M, 4), best first, are padded with NaN. A true box is
    found by one predicted box: each, the best first, takes the free true box that it overlaps most,
    and is false where there is none (the rule of COCO). Intervals are over whole videos (N,).
    """
    found, present, false = match_boxes(truths, predicted)
    pictures = np.ones(len(false))
    return {
        "box_recall": _ratio(video, found, present, bootstrap, seed, "no true boxes"),
        "false_boxes": _ratio(video, false, pictures, bootstrap, seed, "no pictures"),
    }


def match_boxes(
    truths: np.ndarray, predicted: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the numbers of found, of true and of false boxes (N,): see `localisation`."""
    truths, predicted = np.asarray(truths, np.float64), np.asarray(predicted, np.float64)
    true, made = _is_box(truths), _is_box(predicted)
    overlap = _iou(truths, predicted)
    free, rows = true.copy(), np.arange(len(truths))
    for number in range(predicted.shape[1] if truths.shape[1] else 0):
        candidates = np.where(free, overlap[:, :, number], 0.0)
        best = candidates.argmax(axis=1)
        hit = candidates[rows, best] >= MATCH_IOU
        free[rows[hit], best[hit]] = False
    found = (true & ~free).sum(axis=1)
    return found, true.sum(axis=1), made.sum(axis=1) - found


def pair_win(
    video: np.ndarray,
    fake: np.ndarray,
    partner: np.ndarray,
    bootstrap: int = 1000,
    seed: int = 0,
) -> Metric:
    """Returns the share of pairs (N,) in which the fake scores above its genuine partner.

    Equal scores count half; pairs without two finite scores are left out.
    """
    video, fake, partner = _columns(video, fake, partner)
    known = np.isfinite(fake) & np.isfinite(partner)
    won = np.where(fake == partner, 0.5, fake > partner)[known]
    return _ratio(video[known], won, np.ones(len(won)), bootstrap, seed, "no scored pairs")


class _Sorted(NamedTuple):
    """Rows by falling score: `label`, `cluster`, where runs of equal scores `end`."""

    label: np.ndarray
    cluster: np.ndarray
    ends: np.ndarray
    at_threshold: int


def _sort(label: np.ndarray, score: np.ndarray, cluster: np.ndarray) -> _Sorted:
    order = np.argsort(-score, kind="stable")
    falling = score[order]
    ends = np.flatnonzero(np.r_[falling[1:] != falling[:-1], True])
    at_threshold = int((falling[ends] >= THRESHOLD).sum())
    return _Sorted(label[order], cluster[order], ends, at_threshold)


def _count(rows: _Sorted, weights: np.ndarray) -> _Counts:
    """Counts under the weights (draws, clusters) of the clusters."""
    weight = weights[:, rows.cluster]
    hits = np.cumsum(weight * rows.label, axis=1)[:, rows.ends]
    both = np.cumsum(weight, axis=1)[:, rows.ends]
    start = ((0, 0), (1, 0))
    hits, both = (np.pad(part.astype(np.float64), start) for part in (hits, both))
    return _Counts(hits, both - hits, rows.at_threshold)


def _measure(
    wanted: dict[str, tuple[_Sorted, str]], side: np.ndarray, bootstrap: int, seed: int, what: str
) -> dict[str, Metric]:
    """The named measures with intervals over clusters, of which `side` (clusters,) is the label."""
    short = int(np.bincount(side, minlength=2).min()) < 2
    reason = f"no interval: fewer than 2 {what} on a side" if short and bootstrap else ""
    once = np.ones((1, len(side)), np.int64)
    values = _apply(wanted, once)
    parts = [] if short else [_apply(wanted, w) for w in _draws(wanted, side, bootstrap, seed)]
    found = {}
    for name, value in values.items():
        lo, hi = _interval([part[name] for part in parts])
        found[name] = Metric(float(value[0]), lo, hi, len(side), reason)
    return found


def _apply(wanted: dict[str, tuple[_Sorted, str]], weights: np.ndarray) -> dict[str, np.ndarray]:
    counted: dict[int, _Counts] = {}
    values = {}
    for name, (rows, measure) in wanted.items():
        if id(rows) not in counted:
            counted[id(rows)] = _count(rows, weights)
        values[name] = MEASURES[measure](counted[id(rows)])
    return values


def _draws(wanted, side: np.ndarray, bootstrap: int, seed: int):
    """Yields weights (draws, clusters): as many of each side as there are, so none is missing."""
    rng = np.random.default_rng(seed)
    rows = max(len(rows.label) for rows, _ in wanted.values())
    chunk = max(1, CHUNK // rows)
    for start in range(0, bootstrap, chunk):
        draws = min(chunk, bootstrap - start)
        weights = np.empty((draws, len(side)), np.int64)
        for value in (0, 1):
            weights[:, side == value] = _resample(int((side == value).sum()), draws, rng)
        yield weights


def _resample(size: int, draws: int, rng: np.random.Generator) -> np.ndarray:
    """How often each of `size` things comes up in `size` draws with replacement, (draws, size)."""
    drawn = rng.integers(size, size=(draws, size)) + size * np.arange(draws)[:, None]
    return np.bincount(drawn.ravel(), minlength=draws * size).reshape(draws, size)


def _ratio(
    video: np.ndarray, top: np.ndarray, bottom: np.ndarray, bootstrap: int, seed: int, empty: str
) -> Metric:
    """The ratio of two sums over pictures, its interval over whole videos."""
    names, index = np.unique(np.asarray(video)[bottom > 0], return_inverse=True)
    if not len(names):
        return Metric(None, reason=empty)
    top, bottom = (np.bincount(index, part[bottom > 0]) for part in (top, bottom))
    value = float(top.sum() / bottom.sum())
    if len(names) < 2 or not bootstrap:
        reason = "no interval: one video only" if bootstrap else ""
        return Metric(value, n_videos=len(names), reason=reason)
    rng = np.random.default_rng(seed)
    weights = _resample(len(names), bootstrap, rng)
    lo, hi = _interval([(weights @ top) / (weights @ bottom)])
    return Metric(value, lo, hi, len(names))


def _interval(parts: list[np.ndarray]) -> tuple[float | None, float | None]:
    if not parts:
        return None, None
    lo, hi = np.quantile(np.concatenate(parts), QUANTILES)
    return float(lo), float(hi)


def _point(measure: str, label: np.ndarray, score: np.ndarray) -> float:
    _, label, score = _columns(label, label, score)
    _check_labels(label)
    reason = _undefined(label, np.ones(len(label), bool))
    reason = reason or ("a score is NaN" if np.isnan(score).any() else "")
    if reason:
        raise ValueError(f"{measure} is undefined: {reason}")
    rows = _sort(label, score, np.zeros(len(label), np.int64))
    return float(MEASURES[measure](_count(rows, np.ones((1, 1), np.int64)))[0])


def _columns(
    key: np.ndarray, label: np.ndarray, score: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One-dimensional and equally long."""
    key, label, score = np.asarray(key), np.asarray(label), np.asarray(score, np.float64)
    if not key.shape == label.shape == score.shape == (len(score),):
        shapes = f"{key.shape}, {label.shape} and {score.shape}"
        raise ValueError(f"columns must be equally long and one-dimensional, got {shapes}")
    return key, label, score


def _undefined(
    label: np.ndarray, known: np.ndarray, what: str = "class", names: tuple[str, str] = NAMES
) -> str:
    """Why rows of which `known` have a score have no metric; empty where they have one."""
    if not len(label):
        return "no records"
    if not known.any():
        return f"none of {len(label)} records has a score"
    present = np.unique(label[known])
    if len(present) > 1:
        return ""
    return f"one {what} only: all {known.sum()} scored records are {names[int(present[0])]}"


def _videos(video: np.ndarray, data: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Names of the videos (V,), and which of them each row (N,) is of."""
    if data is None:
        return np.unique(video, return_inverse=True)
    sets, of_set = np.unique(np.asarray(data), return_inverse=True)
    names, of_name = np.unique(video, return_inverse=True)
    codes, index = np.unique(of_set * len(names) + of_name, return_inverse=True)
    pairs = [f"{sets[code // len(names)]}:{names[code % len(names)]}" for code in codes]
    return np.array(pairs, str), index


def _check_labels(label: np.ndarray) -> None:
    wrong = ~np.isin(label, (0, 1))
    if wrong.any():
        raise ValueError(f"labels must be 0 or 1, got {label[wrong][0]}")


def _labels(names: np.ndarray, index: np.ndarray, label: np.ndarray) -> np.ndarray:
    """The label of each video."""
    _check_labels(label)
    mean = np.bincount(index, label, len(names)) / np.bincount(index, minlength=len(names))
    mixed = (mean > 0.0) & (mean < 1.0)
    if mixed.any():
        raise ValueError(f"video {str(names[mixed][0])!r} has frames of both labels")
    return mean.astype(int)


def _is_box(boxes: np.ndarray) -> np.ndarray:
    finite = np.isfinite(boxes).all(axis=-1)
    return finite & (boxes[..., 2:] > boxes[..., :2]).all(axis=-1)


def _iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """IoU (N, K, M) of boxes (N, K, 4) and (N, M, 4), 0 for those without area."""
    a, b = (np.where(_is_box(boxes)[..., None], boxes, 0.0) for boxes in (a, b))
    low = np.maximum(a[:, :, None, :2], b[:, None, :, :2])
    high = np.minimum(a[:, :, None, 2:], b[:, None, :, 2:])
    shared = np.clip(high - low, 0.0, None).prod(axis=-1)
    area_a, area_b = (np.prod(boxes[..., 2:] - boxes[..., :2], axis=-1) for boxes in (a, b))
    union = area_a[:, :, None] + area_b[:, None, :] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0.0)
