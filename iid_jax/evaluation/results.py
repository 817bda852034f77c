"""From tables of scores to the results of a summary: by method and over all, with intervals.

A method's row sets that method's fakes against all genuine records of the split; `all` is
everything. What cannot be measured has the value None and a reason.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from iid_jax import metrics
from iid_jax.data import schema
from iid_jax.data.catalog import Catalog
from iid_jax.errors import DataError
from iid_jax.evaluation.table import ScoreTable
from iid_jax.measures import Metric

ALL = "all"
LEAK, FAMILIARITY, UNSCORED = "leak_auc", "familiarity_auc", "unscored"

Result = dict[str, Any]


class Roles(NamedTuple):
    """Who the detector met in training: donors of its fakes, and people it saw as genuine."""

    donors: frozenset[str]
    genuine: frozenset[str]


def result(data: str, split: str, method: str, metric: str, measured: Metric) -> Result:
    """Returns one entry of the summary's `results`."""
    return {
        "data": data,
        "split": split,
        "method": method,
        "metric": metric,
        "value": measured.value,
        "lo": measured.lo,
        "hi": measured.hi,
        "n_videos": measured.n_videos,
        "reason": measured.reason,
    }


def groups(table: ScoreTable) -> dict[str, np.ndarray]:
    """Returns `all` and each manipulation with the rows (bool (N,)) that its result is about."""
    genuine = table["label"] == schema.REAL
    chosen = {ALL: np.ones(len(table), bool)}
    for method in np.unique(table["method"][~genuine]).tolist():
        chosen[method] = genuine | (table["method"] == method)
    return chosen


def detection_results(table: ScoreTable, bootstrap: int, seed: int) -> list[Result]:
    """Returns the results of a table of one data set and split: `metrics.METRICS` by method.

    The last entry, `unscored`, counts the records without a score.

    Raises:
      DataError: a video with frames of both labels.
    """
    data, split = str(table["data"][0]), str(table["split"][0])
    rows = []
    for method, chosen in groups(table).items():
        part = table.take(chosen)
        columns = part["video_id"], part["label"], part["score"]
        try:
            found = metrics.evaluate_scores(*columns, bootstrap=bootstrap, seed=seed)
        except ValueError as error:
            raise DataError(f"{data}: {error}; its labels cannot be trusted") from error
        rows += [result(data, split, method, name, value) for name, value in found.items()]
    return [*rows, unscored_result(table)]


def unscored_result(table: ScoreTable) -> Result:
    """Returns the number of records without a score as an entry `unscored`."""
    videos = len(np.unique(table["video_id"]))
    missing = Metric(int((~table.scored).sum()), n_videos=videos)
    return result(str(table["data"][0]), str(table["split"][0]), ALL, UNSCORED, missing)


def roles(catalog: Catalog, methods: Iterable[str] = ()) -> Roles:
    """Returns who was what in the train split, of fakes only those of `methods` (empty: all)."""
    rows = catalog.select("train", methods=tuple(methods))
    label = catalog.columns["label"][rows]
    donors = catalog.columns["source_identity"][rows[label == schema.FAKE]]
    genuine = catalog.columns["identity"][rows[label == schema.REAL]]
    return Roles(frozenset(donors.tolist()) - {""}, frozenset(genuine.tolist()) - {""})


def leak_results(
    test: ScoreTable, probe: ScoreTable, known: Roles, bootstrap: int, seed: int
) -> list[Result]:
    """Returns the leak and the familiarity AUC, over genuine pictures that training never saw.

    Leak: donors of training fakes (1) against new people (0). Familiarity: new people (1) against
    people who were genuine in training (0). A score that ignores who it sees has 0.5 in both.
    """
    new = test.take(test["label"] == schema.REAL)
    measured = {}
    for metric, people, one in ((LEAK, known.donors, 1), (FAMILIARITY, known.genuine, 0)):
        met = probe.take(np.isin(probe["identity"], sorted(people)))
        group = np.r_[np.full(len(met), one), np.full(len(new), 1 - one)]
        identity = np.concatenate([met["identity"], new["identity"]])
        score = np.concatenate([met["score"], new["score"]])
        measured[metric] = metrics.separation(identity, group, score, bootstrap, seed)
    data, split = str(test["data"][0]), str(test["split"][0])
    return [result(data, split, ALL, name, value) for name, value in measured.items()]


def undefined_leak(data: str, split: str, reason: str) -> list[Result]:
    """Returns the entries of a leak that cannot be measured."""
    missing = Metric(None, reason=reason)
    return [result(data, split, ALL, name, missing) for name in (LEAK, FAMILIARITY)]
