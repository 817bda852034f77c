"""Numbers of a table of scores, by frame and by video, with intervals: AUC, AP, EER, accuracy, TPR.

NumPy only. What cannot be computed (one class, no rows, no scores) is a Metric without a value
and with the reason; a number is never made up.
"""

import dataclasses
from collections.abc import Iterable

import numpy as np

from iid_jax.errors import UsageError, nearest
from iid_jax.measures import (
    FPRS,
    MEASURES,
    Counts,
    Metric,
    Sorted,
    columns,
    count,
    interval,
    resample,
    sort,
    wider,
)

NAMES = ("genuine", "fake")
# Rows times draws that are counted at once: bounds memory at some ten arrays of 8 MB.
CHUNK = 2**20
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
    video, label, score = columns(video, label, score)
    names, index = _videos(video, data)
    frames = np.bincount(index, minlength=len(names))
    return names, _labels(names, index, label), np.bincount(index, score, len(names)) / frames


def evaluate_scores(
    video: np.ndarray,
    label: np.ndarray,
    score: np.ndarray,
    names: Iterable[str] = METRICS,
    bootstrap: int = 1000,
    seed: int = 0,
    data: np.ndarray | None = None,
    identity: np.ndarray | None = None,
) -> dict[str, Metric]:
    """Returns the named metrics of frames: video ids, labels 0/1 and P(fake), each (N,).

    A video is told by (`data`, `video`) and scores the mean of its frames. Frames whose score is
    not finite have none: they are left out, and the caller counts them. Intervals are percentiles
    of `bootstrap` draws of whole videos (0: none), genuine and fake ones apart; with `identity`
    (N,), empty where it is not known, people are drawn too, each with all of their videos, and the
    wider of the two is the interval. TPR at an FPR that the genuine ones are too few to resolve
    is that at a lower one, and its `reason` says so.

    Raises:
      ValueError: a video with frames of both labels, a label other than 0 and 1.
      UsageError: an unknown metric.
    """
    names = tuple(names)
    for name in names:
        if name not in METRICS:
            raise UsageError(f"unknown metric {name!r}{nearest(name, METRICS)}")
    video, label, score = columns(video, label, score)
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
        "video": sort(side, means, np.arange(len(side))),
        "frame": sort(label, score, index),
    }
    wanted = {name: (levels[name.partition("_")[0]], name.partition("_")[2]) for name in names}
    person = None if identity is None else _people(ids[present], index, identity[known])
    found = _measure(wanted, side, bootstrap, seed, "videos", person)
    return {name: _resolved(metric, *wanted[name]) for name, metric in found.items()}


def separation(
    identity: np.ndarray, group: np.ndarray, score: np.ndarray, bootstrap: int = 1000, seed: int = 0
) -> Metric:
    """Returns the frame AUC of `group` 1 against 0, its interval by a bootstrap over identities.

    With donors of training fakes as 1 and new people as 0 this is the leak AUC: 0.5 is no leak.
    `n_videos` counts the people; one who is in both groups makes it undefined.
    """
    identity, group, score = columns(identity, group, score)
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
    rows = sort(group[known], score[known], index)
    wanted = {"leak": (rows, "auc")}
    return _measure(wanted, share.astype(int), bootstrap, seed, "people")["leak"]


def _measure(
    wanted: dict[str, tuple[Sorted, str]],
    side: np.ndarray,
    bootstrap: int,
    seed: int,
    what: str,
    person: np.ndarray | None = None,
) -> dict[str, Metric]:
    """The named measures with intervals over clusters, of which `side` (clusters,) is the label.

    `person` (clusters,) numbers whom a cluster shows.
    """
    short = int(np.bincount(side, minlength=2).min()) < 2
    reason = f"no interval: fewer than 2 {what} on a side" if short and bootstrap else ""
    once = np.ones((1, len(side)), np.int64)
    values = _apply(wanted, once)
    draws = [] if short else [_draws(wanted, side, bootstrap, seed)]
    if person is not None and not short:
        draws.append(_people_draws(wanted, side, person, bootstrap, seed))
    ways = [[_apply(wanted, weights) for weights in way] for way in draws]
    found = {}
    for name, value in values.items():
        lo, hi = wider([interval([part[name] for part in parts]) for parts in ways])
        found[name] = Metric(float(value[0]), lo, hi, len(side), reason)
    return found


def _people(ids: np.ndarray, index: np.ndarray, identity: np.ndarray) -> np.ndarray:
    """Numbers the person of each video (V,), the first one named; unknown ones are all others."""
    _, first = np.unique(index, return_index=True)
    names = np.asarray(identity).astype(str)[first]
    alone = np.char.add("\0", ids.astype(str))
    return np.unique(np.where(names == "", alone, names), return_inverse=True)[1]


def unresolved(rows: Sorted, measure: str) -> str:
    """Returns why a measure of rows is coarser than its name says, "" where it is not."""
    genuine, share = int((rows.label == 0).sum()), FPRS.get(measure, 1.0)
    if genuine * share >= 1.0:
        return ""
    return f"{genuine} genuine scores do not resolve an FPR of {100 * share:g} %: it is at 0"


def _resolved(metric: Metric, rows: Sorted, measure: str) -> Metric:
    if metric.value is None:
        return metric
    reason = "; ".join(filter(None, (metric.reason, unresolved(rows, measure))))
    return dataclasses.replace(metric, reason=reason)


def _apply(wanted: dict[str, tuple[Sorted, str]], weights: np.ndarray) -> dict[str, np.ndarray]:
    counted: dict[int, Counts] = {}
    values = {}
    for name, (rows, measure) in wanted.items():
        if id(rows) not in counted:
            counted[id(rows)] = count(rows, weights)
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
            weights[:, side == value] = resample(int((side == value).sum()), draws, rng)
        yield weights


def _people_draws(wanted, side: np.ndarray, person: np.ndarray, bootstrap: int, seed: int):
    """Yields weights (draws, clusters) of people drawn with all that shows them.

    A draw of one side only has no measure, and is left out.
    """
    rng = np.random.default_rng([seed, 1])
    people = int(person.max()) + 1
    chunk = max(1, CHUNK // max(len(rows.label) for rows, _ in wanted.values()))
    for start in range(0, bootstrap, chunk):
        weights = resample(people, min(chunk, bootstrap - start), rng)[:, person]
        both = [weights[:, side == value].sum(axis=1) > 0 for value in (0, 1)]
        yield weights[both[0] & both[1]]


def _point(measure: str, label: np.ndarray, score: np.ndarray) -> float:
    _, label, score = columns(label, label, score)
    _check_labels(label)
    reason = _undefined(label, np.ones(len(label), bool))
    reason = reason or ("a score is NaN" if np.isnan(score).any() else "")
    if reason:
        raise ValueError(f"{measure} is undefined: {reason}")
    rows = sort(label, score, np.zeros(len(label), np.int64))
    return float(MEASURES[measure](count(rows, np.ones((1, 1), np.int64)))[0])


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
