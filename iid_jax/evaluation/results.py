"""From tables of scores to the results of a summary: by method and over all, with intervals.

A method's row sets that method's fakes against all genuine records of the split; `all` is
everything. What cannot be measured has the value None and a reason.
"""

from typing import Any

import numpy as np

from iid_jax import metrics
from iid_jax.data import schema
from iid_jax.errors import DataError
from iid_jax.evaluation import calibration
from iid_jax.evaluation.table import DONOR, GENUINE, ROLE, ScoreTable
from iid_jax.leak_metrics import FAMILIARITY, LEAK, Faces, Roles, leak_aucs
from iid_jax.measures import Metric

ALL = "all"
UNSCORED = "unscored"

Result = dict[str, Any]


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
    """Returns `all` and each manipulation with the rows (bool (N,)) that its result is about.

    Raises:
      DataError: a manipulation is called `all`.
    """
    genuine = table["label"] == schema.REAL
    chosen = {ALL: np.ones(len(table), bool)}
    methods = np.unique(table["method"][~genuine]).tolist()
    if ALL in methods:
        raise DataError(f"{table['data'][0]}: no manipulation may be called {ALL!r}: rename it")
    for method in methods:
        chosen[method] = genuine | (table["method"] == method)
    return chosen


def detection_results(
    table: ScoreTable,
    bootstrap: int,
    seed: int,
    validation: ScoreTable | None = None,
    why_none: str = "",
) -> list[Result]:
    """Returns the results of a table of one data set and split: `metrics.METRICS` by method.

    Then, over all, the calibration, with a temperature fitted on the `validation` scores
    (`why_none` says why there are none). The last entry, `unscored`, counts the records without a
    score. Intervals are the wider of those over videos and over people.

    Raises:
      DataError: a video with frames of both labels.
    """
    data, split = str(table["data"][0]), str(table["split"][0])
    rows, names = [], video_names(table)
    for method, chosen in groups(table).items():
        part = table.take(chosen)
        columns = names[chosen], part["label"], part["score"]
        found = metrics.evaluate_scores(
            *columns, bootstrap=bootstrap, seed=seed, identity=part["identity"]
        )
        rows += [result(data, split, method, name, value) for name, value in found.items()]
    found = calibration.calibration(table, validation, bootstrap, seed, why_none)
    rows += [result(data, split, ALL, name, value) for name, value in found.items()]
    return [*rows, unscored_result(table)]


def video_names(table: ScoreTable) -> np.ndarray:
    """Returns the video of each record, see `ScoreTable.videos`.

    Raises:
      DataError: a video with frames of both labels.
    """
    try:
        return table.videos()
    except ValueError as error:
        raise DataError(f"{table['data'][0]}: {error}; its labels cannot be trusted") from error


def unscored_result(table: ScoreTable) -> Result:
    """Returns the number of records without a score as an entry `unscored`."""
    videos = len(np.unique(table["video_id"]))
    missing = Metric(int((~table.scored).sum()), n_videos=videos)
    return result(str(table["data"][0]), str(table["split"][0]), ALL, UNSCORED, missing)


def leak_results(
    test: ScoreTable, probe: ScoreTable, known: Roles, bootstrap: int, seed: int
) -> list[Result]:
    """Returns the leak and the familiarity AUC of a score: see `leak_metrics.leak_aucs`."""
    measured = leak_aucs(known, *faces(test, probe), bootstrap, seed)
    data, split = str(test["data"][0]), str(test["split"][0])
    return [result(data, split, ALL, name, value) for name, value in measured.items()]


def with_roles(probe: ScoreTable, known: Roles) -> ScoreTable:
    """Returns the scores of the probe, each record with its person's `ROLE` in training."""
    sides = {DONOR: known.donors, GENUINE: known.genuine}
    roles = [
        "+".join(role for role, people in sides.items() if person in people)
        for person in probe["identity"].tolist()
    ]
    return ScoreTable({**probe.columns, ROLE: np.array(roles, str)})


def roles_in(probe: ScoreTable) -> Roles | None:
    """Returns who was what in training, of the people of the probe; None where it is not noted."""
    if ROLE not in probe.columns:
        return None
    of_role = (
        frozenset(probe["identity"][np.char.find(probe[ROLE], role) >= 0].tolist())
        for role in (DONOR, GENUINE)
    )
    return Roles(*of_role)


def faces(test: ScoreTable, probe: ScoreTable) -> tuple[Faces, Faces]:
    """Returns the genuine pictures of people met in training, and of new people."""
    new = test.take(test["label"] == schema.REAL)
    met, unmet = (Faces(part["identity"], part["score"]) for part in (probe, new))
    return met, unmet


def undefined_leak(data: str, split: str, reason: str) -> list[Result]:
    """Returns the entries of a leak that cannot be measured."""
    missing = Metric(None, reason=reason)
    return [result(data, split, ALL, name, missing) for name in (LEAK, FAMILIARITY)]
