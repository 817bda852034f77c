"""Two detectors on the same records: differences with paired intervals, and DeLong's test.

Two intervals that overlap say little about a difference: the records that are hard for one
detector are mostly hard for the other. Drawn together they cancel.
"""

import dataclasses
from typing import NamedTuple

import numpy as np
from scipy import stats

from iid_jax import metrics
from iid_jax.errors import DataError
from iid_jax.evaluation import results
from iid_jax.evaluation.table import ScoreTable
from iid_jax.measures import MEASURES, count, interval, resample, sort, wider

NAMED = 5
_NO_INTERVAL = "no interval: fewer than 2 videos on a side"
LEVELS = ("video_auc", "frame_auc", "video_ap", "video_eer", "video_tpr_at_1pct_fpr")


class DeLong(NamedTuple):
    """Two AUCs on the same records, their difference (second - first), its 95 % interval and p."""

    first: float
    second: float
    difference: float
    lo: float
    hi: float
    p: float


@dataclasses.dataclass(frozen=True)
class Difference:
    """One metric of two runs; `lo` and `hi` are of `difference` = second - first.

    `p` is DeLong's, of the AUC over videos alone. `n_left_out` records have no score of one of the
    two, and count in neither. What cannot be measured is None with a `reason`.
    """

    data: str
    split: str
    method: str
    metric: str
    first: float | None
    second: float | None
    difference: float | None
    lo: float | None = None
    hi: float | None = None
    p: float | None = None
    n_videos: int = 0
    reason: str = ""
    n_left_out: int = 0


def delong(label: np.ndarray, first: np.ndarray, second: np.ndarray) -> DeLong:
    """Returns the test of two correlated AUCs of labels 0/1 and scores, each (N,).

    Without any variance (both perfect) p is 1, or 0 where they differ. Source: DeLong et al. 1988,
    by the ranks of Sun and Xu 2014.

    Raises:
      ValueError: fewer than two records of a class.
    """
    label = np.asarray(label)
    fake, genuine = label == 1, label == 0
    m, n = int(fake.sum()), int(genuine.sum())
    if min(m, n) < 2:
        raise ValueError(f"DeLong's test needs two records of each class, got {n} and {m}")
    parts = [_components(np.asarray(score)[fake], np.asarray(score)[genuine])
             for score in (first, second)]  # fmt: skip
    aucs = [float(of_fakes.mean()) for of_fakes, _ in parts]
    covariance = np.cov([p[0] for p in parts]) / m + np.cov([p[1] for p in parts]) / n
    contrast = np.array([-1.0, 1.0])
    deviation = float(np.sqrt(max(contrast @ covariance @ contrast, 0.0)))
    difference = aucs[1] - aucs[0]
    if deviation < 1e-12:
        p = 1.0 if abs(difference) < 1e-12 else 0.0
        return DeLong(*aucs, difference, difference, difference, p)
    half = float(stats.norm.ppf(0.975)) * deviation
    p = float(2.0 * stats.norm.sf(abs(difference) / deviation))
    return DeLong(*aucs, difference, difference - half, difference + half, p)


def compare(
    first: ScoreTable, second: ScoreTable, bootstrap: int = 1000, seed: int = 0
) -> list[Difference]:
    """Returns the differences of two tables of the same data set, split and records.

    By manipulation and over all. A record that one of the two could not score counts in neither,
    and is counted.

    Raises:
      DataError: one table lacks records of the other (they are named), their labels differ, or a
        video has frames of both labels.
    """
    first, second = aligned(first, second)
    results.video_names(first)
    both = first.scored & second.scored
    found = []
    for method, chosen in results.groups(first).items():
        rows = chosen & both
        parts = first.take(rows), second.take(rows)
        left_out = int((chosen & ~both).sum())
        found += [
            dataclasses.replace(row, n_left_out=left_out)
            for row in _differences(method, *parts, bootstrap, seed)
        ]
    return found


def aligned(first: ScoreTable, second: ScoreTable) -> tuple[ScoreTable, ScoreTable]:
    """Returns both tables with the same records in the same order.

    Raises:
      DataError: one lacks records of the other, or says something else about one.
    """
    for there, here, which in ((first, second, "second"), (second, first, "first")):
        missing = sorted(set(there["record"].tolist()) - set(here["record"].tolist()))
        if missing:
            named = ", ".join(missing[:NAMED]) + (", ..." if len(missing) > NAMED else "")
            raise DataError(
                f"the {which} scores lack {len(missing)} of the other's records: {named}; "
                "score the same split with both"
            )
    ordered = [table.take(np.argsort(table["record"])) for table in (first, second)]
    for column in ("label", "method", "video_id"):
        differs = ordered[0][column] != ordered[1][column]
        if differs.any():
            name = ordered[0]["record"][differs][0]
            raise DataError(f"the two scores files disagree on the {column} of {name}")
    return ordered[0], ordered[1]


def _differences(
    method: str, first: ScoreTable, second: ScoreTable, bootstrap: int, seed: int
) -> list[Difference]:
    if len(np.unique(first["label"])) < 2:
        reason = "records of both classes that both could score are needed"
        where = ("", "") if not len(first) else (first["data"][0], first["split"][0])
        return [Difference(*map(str, where), method, name, *[None] * 3, reason=reason)
                for name in LEVELS]  # fmt: skip
    index, side = _clusters(first)
    ways = _ways(first, index, side, bootstrap, seed)
    once = np.ones((1, len(side)), np.int64)
    sides = [_levels(table, index, side) for table in (first, second)]
    values = [_measured(rows, once) for rows in sides]
    drawn = [_measured(sides[1], w) - _measured(sides[0], w) for w in ways]
    test = _test(side, index, first["score"], second["score"])
    found = []
    for place, name in enumerate(LEVELS):
        a, b = (float(value[place, 0]) for value in values)
        lo, hi = wider([interval([differences[place]]) for differences in drawn])
        p = test if name == "video_auc" else None
        where = str(first["data"][0]), str(first["split"][0]), method, name
        level, _, measure = name.partition("_")
        coarse = metrics.unresolved(sides[0][level], measure)
        reason = "; ".join(filter(None, ("" if ways else _NO_INTERVAL, coarse)))
        found.append(Difference(*where, a, b, b - a, lo, hi, p, len(side), reason))
    return found


def _clusters(table: ScoreTable) -> tuple[np.ndarray, np.ndarray]:
    """Which video each row (N,) is of, and the label of each video."""
    names, labels, _ = metrics.video_table(table.videos(), table["label"], table["score"])
    return np.searchsorted(names, table.videos()), labels


def _ways(
    table: ScoreTable, index: np.ndarray, side: np.ndarray, bootstrap: int, seed: int
) -> list[np.ndarray]:
    """Weights (draws, videos) of a bootstrap over videos, and of one over people."""
    if not bootstrap or np.bincount(side, minlength=2).min() < 2:
        return []
    rng = np.random.default_rng(seed)
    by_video = np.empty((bootstrap, len(side)), np.int64)
    for value in (0, 1):
        by_video[:, side == value] = resample(int((side == value).sum()), bootstrap, rng)
    _, at = np.unique(index, return_index=True)
    person = np.unique(table.people()[at], return_inverse=True)[1]
    by_person = resample(int(person.max()) + 1, bootstrap, rng)[:, person]
    usable = np.all([by_person[:, side == value].sum(axis=1) > 0 for value in (0, 1)], axis=0)
    return [by_video, by_person[usable]]


def _levels(table: ScoreTable, index: np.ndarray, side: np.ndarray) -> dict:
    means = np.bincount(index, table["score"]) / np.bincount(index)
    return {
        "video": sort(side, means, np.arange(len(side))),
        "frame": sort(table["label"], table["score"], index),
    }


def _measured(levels: dict, weights: np.ndarray) -> np.ndarray:
    """`LEVELS` under each of the weights (draws, videos), (len(LEVELS), draws)."""
    chunk = max(1, metrics.CHUNK // len(levels["frame"].label))
    parts = []
    for start in range(0, max(len(weights), 1), chunk):
        counted = {n: count(rows, weights[start : start + chunk]) for n, rows in levels.items()}
        asked = (name.partition("_") for name in LEVELS)
        parts.append([MEASURES[measure](counted[level]) for level, _, measure in asked])
    return np.concatenate(parts, axis=1)


def _test(side: np.ndarray, index: np.ndarray, *scores: np.ndarray) -> float | None:
    if np.bincount(side, minlength=2).min() < 2:
        return None
    means = [np.bincount(index, score) / np.bincount(index) for score in scores]
    return delong(side, *means).p


def _components(fakes: np.ndarray, genuine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The share of the other class that each record is on the right side of; ties count half."""
    both = stats.rankdata(np.concatenate([fakes, genuine]))
    m, n = len(fakes), len(genuine)
    of_fakes = (both[:m] - stats.rankdata(fakes)) / n
    of_genuine = 1.0 - (both[m:] - stats.rankdata(genuine)) / m
    return of_fakes, of_genuine
