"""The figures of the report that are drawn from tables of scores alone."""

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from iid_jax import metrics, plots
from iid_jax.data import schema
from iid_jax.evaluation import calibration, results, robustness
from iid_jax.evaluation.table import ScoreTable, sigmoid

if TYPE_CHECKING:
    from matplotlib.figure import Figure


# Of more manipulations than this, the ones found least are drawn.
MOST = 10


def embed(figure: "Figure") -> str:
    """Returns a figure as a data URI."""
    return "data:image/png;base64," + base64.b64encode(plots.png(figure)).decode()


def quality(
    table: ScoreTable,
    validation: ScoreTable | None,
    rows: Sequence[results.Result],
    worse: Sequence[results.Result],
) -> dict[str, str]:
    """Returns roc, precision_recall, histogram, reliability and robustness, embedded.

    Empty where there is nothing to draw. `rows` are the results of the table, `worse` those under
    corruptions. `drawn` says which manipulations are, where not all.
    """
    curves = _curves(table)
    methods = _found_least(curves)
    curves = {name: columns for name, columns in curves.items() if name in (results.ALL, *methods)}
    curve, clean = robustness.curves(rows, worse)
    drawn = plots.robustness(curve, clean, "video AUC") if curve else None
    count = len(set(table["method"][table["label"] == schema.FAKE].tolist()))
    return {
        "drawn": f"Drawn: the {MOST} of {count} found least, and all." if count > MOST else "",
        "roc": embed(plots.roc(curves)),
        "precision_recall": embed(plots.precision_recall(curves)),
        "histogram": embed(plots.score_histogram(_by_method(table, methods))),
        "reliability": embed(plots.reliability(_bins(table, validation))),
        "robustness_figure": embed(drawn) if drawn else "",
    }


def _curves(table: ScoreTable) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """By method, the labels and mean scores of the videos."""
    curves, names = {}, results.video_names(table)
    for method, chosen in results.groups(table).items():
        rows = chosen & table.scored
        columns = names[rows], table["label"][rows], table["score"][rows]
        curves[method] = metrics.video_table(*columns)[1:]
    return curves


def _found_least(curves: dict[str, tuple[np.ndarray, np.ndarray]]) -> list[str]:
    """At most `MOST` manipulations, those of lowest video AUC, in the order given."""
    auc = {
        name: metrics.auc(*columns) if len(np.unique(columns[0])) == 2 else 0.0
        for name, columns in curves.items()
        if name != results.ALL
    }
    least = sorted(auc, key=auc.get)[:MOST]
    return [name for name in auc if name in least]


def _by_method(table: ScoreTable, methods: Sequence[str]) -> dict[str, np.ndarray]:
    """Scores of the records of genuine pictures, whatever these are called, and by manipulation."""
    scored = table.take(table.scored)
    genuine = scored["label"] == schema.REAL
    sides = {schema.ORIGINAL: genuine}
    sides |= {name: ~genuine & (scored["method"] == name) for name in methods}
    found = {name: scored["score"][rows] for name, rows in sides.items() if rows.any()}
    return found or {"no scored records": np.zeros(0)}


def _bins(table: ScoreTable, validation: ScoreTable | None) -> dict[str, tuple]:
    rows = table.take(table.scored)
    scores = {"as scored": rows["score"]}
    if validation is not None:
        known = validation.take(validation.scored)
        fitted = calibration.fit_temperature(known["label"], known["logit"]).value
        if fitted is not None:
            name = f"logits divided by {fitted:.3g}"
            scores[name] = sigmoid(rows["logit"] / fitted)
    found = {name: calibration.reliability(rows["label"], s) for name, s in scores.items()}
    return {name: (bins.score, bins.share, bins.count) for name, bins in found.items()}
