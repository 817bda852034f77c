"""Numbers of a table of scores: AUC, AP, EER and accuracy by frame and by video, with intervals.

NumPy and scikit-learn only. What cannot be computed (one class, no rows) is a Metric without a
value and with the reason; a number is never made up.
"""

import dataclasses
from collections.abc import Callable

import numpy as np
from sklearn import metrics as sk

QUANTILES = (0.025, 0.975)
THRESHOLD = 0.5


@dataclasses.dataclass(frozen=True)
class Metric:
    """A value with its 95 % interval over `n_videos` videos; `value` None has a `reason`."""

    value: float | None
    lo: float | None = None
    hi: float | None = None
    n_videos: int = 0
    reason: str = ""


def auc(label: np.ndarray, score: np.ndarray) -> float:
    """Returns the area under the ROC curve, ties counting half: Mann and Whitney's U by ranks."""
    order = np.argsort(score, kind="stable")
    ordered, labels = score[order], label[order]
    _, first, count = np.unique(ordered, return_index=True, return_counts=True)
    ranks = np.repeat(first + (count + 1) / 2.0, count)
    positives = labels.sum()
    negatives = len(labels) - positives
    above = ranks[labels == 1].sum() - positives * (positives + 1) / 2.0
    return float(above / (positives * negatives))


def average_precision(label: np.ndarray, score: np.ndarray) -> float:
    """Returns the area under the precision-recall curve, by steps."""
    return float(sk.average_precision_score(label, score))


def eer(label: np.ndarray, score: np.ndarray) -> float:
    """Returns the error rate at which as many fakes pass as genuine ones are refused."""
    false, true, _ = sk.roc_curve(label, score)
    missed = 1.0 - true
    after = int(np.argmax(false >= missed))
    before = max(after - 1, 0)
    gap = (missed - false)[[before, after]]
    share = gap[0] / (gap[0] - gap[1]) if gap[0] != gap[1] else 0.0
    return float(false[before] + share * (false[after] - false[before]))


def accuracy(label: np.ndarray, score: np.ndarray) -> float:
    """Returns the share on the right side of 0.5."""
    return float(np.mean((score >= THRESHOLD) == (label == 1)))


MEASURES: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "auc": auc,
    "ap": average_precision,
    "eer": eer,
    "acc": accuracy,
}
# Accuracy is defined for one class too, but a number that the class balance decides is no use.
METRICS = tuple(f"{level}_{name}" for level in ("video", "frame") for name in MEASURES)


def video_table(
    video: np.ndarray, label: np.ndarray, score: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns (names, labels, mean scores) of the videos; `video` must be unique over data sets.

    Raises:
      ValueError: a video with frames of both labels.
    """
    names, index = np.unique(video, return_inverse=True)
    count = np.bincount(index, minlength=len(names))
    mean_label = np.bincount(index, label, len(names)) / count
    mixed = (mean_label > 0) & (mean_label < 1)
    if mixed.any():
        raise ValueError(f"video {names[mixed][0]!r} has frames of both labels")
    return names, mean_label.astype(int), np.bincount(index, score, len(names)) / count


def evaluate_scores(
    video: np.ndarray,
    label: np.ndarray,
    score: np.ndarray,
    names: tuple[str, ...] = METRICS,
    bootstrap: int = 1000,
    seed: int = 0,
) -> dict[str, Metric]:
    """Returns the named metrics of frames: video ids, labels 0/1, P(fake); NaN scores are left out.

    Intervals are percentiles of `bootstrap` draws of whole videos, genuine and fake ones apart.
    """
    video, label, score = (np.asarray(a) for a in (video, label, score))
    known = np.isfinite(score)
    video, label, score = video[known], label[known].astype(int), score[known].astype(np.float64)
    reason = _undefined(label)
    if reason:
        return {
            name: Metric(None, n_videos=len(set(video.tolist())), reason=reason) for name in names
        }
    ids, video_label, video_score = video_table(video, label, score)
    frames = _frames_of(ids, video)
    rng = np.random.default_rng(seed)
    draws = [_draw(video_label, rng) for _ in range(bootstrap)]
    result = {}
    for name in names:
        level, _, measure = name.partition("_")
        function = MEASURES[measure]
        if level == "video":
            value = function(video_label, video_score)
            spread = [function(video_label[d], video_score[d]) for d in draws]
        else:
            value = function(label, score)
            spread = [_on_frames(function, label, score, frames, d) for d in draws]
        lo, hi = np.quantile(spread, QUANTILES) if draws else (value, value)
        result[name] = Metric(float(value), float(lo), float(hi), len(ids))
    return result


def separation(
    identity: np.ndarray, group: np.ndarray, score: np.ndarray, bootstrap: int = 1000, seed: int = 0
) -> Metric:
    """Returns the frame AUC of `group` 1 against 0, its interval by a bootstrap over identities.

    With donors of training fakes as 1 and new people as 0 this is the leak AUC: 0.5 is no leak.
    """
    people, index = np.unique(np.asarray(identity), return_inverse=True)
    known = np.isfinite(score)
    reason = _undefined(np.asarray(group)[known], "group")
    if reason:
        return Metric(None, n_videos=len(people), reason=reason)
    group, score, index = np.asarray(group)[known], np.asarray(score)[known], index[known]
    frames = [np.flatnonzero(index == i) for i in range(len(people))]
    side = np.array([group[f[0]] if len(f) else -1 for f in frames])
    rng = np.random.default_rng(seed)
    spread = []
    for _ in range(bootstrap):
        drawn = np.concatenate([frames[i] for i in _draw(side, rng)])
        spread.append(auc(group[drawn], score[drawn]))
    value = auc(group, score)
    lo, hi = np.quantile(spread, QUANTILES) if spread else (value, value)
    return Metric(float(value), float(lo), float(hi), len(people))


def _undefined(label: np.ndarray, what: str = "class") -> str:
    present = sorted(set(np.asarray(label).tolist()))
    if not present:
        return "no scored records"
    if len(present) == 1:
        return f"one {what} only: all are {present[0]}"
    return ""


def _draw(label: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draws as many of each label as there are, so that no draw lacks one."""
    sides = [np.flatnonzero(label == side) for side in (0, 1)]
    return np.concatenate([rng.choice(side, len(side)) for side in sides])


def _frames_of(ids: np.ndarray, video: np.ndarray) -> list[np.ndarray]:
    order = np.argsort(video, kind="stable")
    edges = np.searchsorted(video[order], ids)
    return np.split(order, edges[1:])


def _on_frames(function, label, score, frames, draw) -> float:
    rows = np.concatenate([frames[i] for i in draw])
    return function(label[rows], score[rows])
