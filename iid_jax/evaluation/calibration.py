"""Whether a score of 0.8 is right in 80 of 100 cases: calibration error, and a temperature.

The temperature divides the logits; it is fitted on validation scores, never on those it is judged
on (Guo et al. 2017, arXiv:1706.04599). NumPy and SciPy only.
"""

from typing import NamedTuple

import numpy as np
from scipy import optimize

from iid_jax.evaluation.table import ScoreTable, sigmoid
from iid_jax.measures import Metric, interval, resample, wider

ECE, CALIBRATED, TEMPERATURE = "frame_ece", "frame_ece_calibrated", "temperature"
BINS = 15
# A temperature at an end of this range is none: the scores are separable, or say nothing.
RANGE = (0.02, 50.0)
_FITTED_HERE = "the temperature was fitted on these very records"
_NO_LOGIT = "a record has a score and no logit"


class Reliability(NamedTuple):
    """By bin of P(fake), (bins,): records, their mean score and the share that is fake.

    The last two are NaN where a bin is empty.
    """

    count: np.ndarray
    score: np.ndarray
    share: np.ndarray


def reliability(label: np.ndarray, score: np.ndarray, bins: int = BINS) -> Reliability:
    """Returns what equally wide bins of P(fake) in 0..1 hold; labels 0/1 and scores (N,)."""
    count, total, fakes = _sums(label, score, np.zeros(len(score), int), bins)[:, 0]
    empty = np.where(count > 0, count, np.nan)
    return Reliability(count.astype(int), total / empty, fakes / empty)


def ece(label: np.ndarray, score: np.ndarray, bins: int = BINS) -> float:
    """Returns the expected calibration error of P(fake): the mean over records, in 0..1.

    It is the gap between a bin's mean score and its share of fakes; it depends on the share of
    fakes among the records.
    """
    sums = _sums(label, score, np.zeros(len(score), int), bins)
    return float(_error(sums, np.ones((1, 1)))[0])


def fit_temperature(label: np.ndarray, logit: np.ndarray) -> Metric:
    """Returns the temperature that makes labels 0/1 (N,) most likely, sigmoid(logit / T).

    Without a value and with the reason where there is one class only or no finite optimum.
    """
    known = np.isfinite(logit)
    label, logit = np.asarray(label)[known], np.asarray(logit, np.float64)[known]
    if len(np.unique(label)) < 2:
        return Metric(None, reason="validation scores of one class only, or none")
    sign = np.where(label == 1, 1.0, -1.0) * logit

    def cost(log_temperature: float) -> float:
        return float(np.logaddexp(0.0, -sign / np.exp(log_temperature)).mean())

    found = optimize.minimize_scalar(
        cost, bounds=np.log(RANGE), method="bounded", options={"xatol": 1e-9}
    )
    temperature = float(np.exp(found.x))
    if not 1.01 * RANGE[0] < temperature < 0.99 * RANGE[1]:
        return Metric(None, reason="validation scores have no best temperature: all right or wrong")
    return Metric(temperature)


def apart(validation: ScoreTable | None, table: ScoreTable) -> ScoreTable | None:
    """Returns the validation scores; None where the table shares records with them."""
    if validation is None or np.isin(validation["record"], table["record"]).any():
        return None
    return validation


def calibration(
    table: ScoreTable, validation: ScoreTable | None, bootstrap: int, seed: int, why_none: str = ""
) -> dict[str, Metric]:
    """Returns the calibration errors of a table's records, before and after the temperature.

    Intervals are the wider of those over videos and over people. `why_none` says why there are no
    validation scores. The error after the temperature is undefined where that was fitted on records
    of the table itself.
    """
    fitted = Metric(None, reason=why_none or "no validation scores")
    if validation is not None:
        known = validation.take(validation.scored)
        fitted = fit_temperature(known["label"], known["logit"])
    rows = table.take(table.scored)
    found = {ECE: _measured(rows, rows["score"], bootstrap, seed), TEMPERATURE: fitted}
    reason = fitted.reason
    if apart(validation, table) is None:
        reason = reason or _FITTED_HERE
    elif not np.isfinite(rows["logit"]).all():
        reason = reason or _NO_LOGIT
    if reason:
        found[CALIBRATED] = Metric(None, n_videos=found[ECE].n_videos, reason=reason)
    else:
        score = sigmoid(rows["logit"] / fitted.value)
        found[CALIBRATED] = _measured(rows, score, bootstrap, seed)
    return found


def _measured(rows: ScoreTable, score: np.ndarray, bootstrap: int, seed: int) -> Metric:
    _, first, index = np.unique(rows.videos(), return_index=True, return_inverse=True)
    videos = len(first)
    if not videos:
        return Metric(None, reason="no record has a score")
    sums = _sums(rows["label"], score, index, BINS)
    value = float(_error(sums, np.ones((1, videos)))[0])
    if videos < 2:
        return Metric(value, n_videos=videos, reason="no interval: fewer than 2 videos")
    if not bootstrap:
        return Metric(value, n_videos=videos)
    person = np.unique(rows.people()[first], return_inverse=True)[1]
    rng = np.random.default_rng(seed)
    by_video = resample(videos, bootstrap, rng)
    by_person = resample(int(person.max()) + 1, bootstrap, rng)[:, person]
    intervals = [_around(value, _error(sums, weights)) for weights in (by_video, by_person)]
    return Metric(value, *wider(intervals), videos)


def _around(value: float, drawn: np.ndarray) -> tuple[float, float]:
    """The interval of the draws (N,), moved from their mean to the value.

    A mean of absolute gaps only grows with noise, and a draw has the noise of the records twice:
    its percentiles themselves often lie above the value.
    """
    lo, hi = interval([drawn])
    moved = value - float(drawn.mean())
    return max(lo + moved, 0.0), hi + moved


def _sums(label: np.ndarray, score: np.ndarray, cluster: np.ndarray, bins: int) -> np.ndarray:
    """Records, sum of scores and fakes by cluster and bin, (3, clusters, bins)."""
    clusters = int(cluster.max()) + 1 if len(cluster) else 1
    place = cluster * bins + np.minimum((np.asarray(score) * bins).astype(int), bins - 1)
    parts = [
        np.bincount(place, weights, clusters * bins)
        for weights in (np.ones(len(place)), np.asarray(score), np.asarray(label))
    ]
    return np.array(parts).reshape(3, clusters, bins)


def _error(sums: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The calibration error under weights (draws, clusters)."""
    count, score, fakes = weights @ sums
    return np.abs(score - fakes).sum(axis=1) / np.maximum(count.sum(axis=1), 1)
