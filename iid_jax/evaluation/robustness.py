"""How a detector stands up to corruptions of the pictures: scores, results and their mean.

A corrupted split is called `<split>@<kind>-<level>` wherever a split is named, in scores files and
in summaries; the mean over the levels of a kind is `<split>@<kind>`, that over the six kinds of
pixels `<split>@pixels`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from iid_jax import metrics
from iid_jax.data import corrupt
from iid_jax.data.catalog import Catalog
from iid_jax.data.corrupt import Corruption
from iid_jax.errors import DataError
from iid_jax.evaluation import compare
from iid_jax.evaluation import results as tables
from iid_jax.evaluation.table import ScoreTable
from iid_jax.measures import Metric

MARK, PIXELS = "@", "pixels"
MEASURED = ("video_auc", "frame_auc", "video_eer")
_MEAN = "the mean of levels 1 to 5"
_OF_OTHERS = "; not all of the same videos, since some records have no score"


def score_corrupted(
    score: Callable[[Any, str], ScoreTable],
    catalog: Catalog,
    split: str,
    corruptions: Sequence[Corruption],
    seed: int,
) -> dict[Corruption, ScoreTable | str]:
    """Returns the scores of the split under each corruption, or why the data cannot have it.

    `score` gives the table of a corrupted catalog and the name of its split.
    """
    found: dict[Corruption, ScoreTable | str] = {}
    for corruption in corruptions:
        found[corruption] = corrupt.unsuitable(corruption.kind, catalog)
        if not found[corruption]:
            corrupted = corrupt.CorruptedCatalog(catalog, corruption, seed)
            found[corruption] = score(corrupted, f"{split}{MARK}{corruption}")
    return found


def results(
    clean: ScoreTable,
    worse: Mapping[Corruption, ScoreTable | str],
    bootstrap: int,
    seed: int,
) -> list[tables.Result]:
    """Returns `MEASURED` of every corrupted table by manipulation, and the means over levels.

    Raises:
      DataError: a corrupted table has not the records of the clean one; they are named.
    """
    rows = []
    where = str(clean["data"][0]), str(clean["split"][0])
    for corruption, table in worse.items():
        split = f"{where[1]}{MARK}{corruption}"
        if isinstance(table, str):
            missing = Metric(None, reason=table)
            rows += [tables.result(where[0], split, tables.ALL, n, missing) for n in MEASURED]
            continue
        _check_whole(clean, table, split)
        rows += _measured(table, where[0], split, bootstrap, seed)
    return rows + _means(rows, *where)


def split_of(name: str) -> tuple[str, Corruption | None]:
    """Returns (split, corruption) of a split's name; None where it is not a corrupted one."""
    split, mark, told = name.partition(MARK)
    kind, dash, level = told.rpartition("-")
    if not (mark and dash and kind in corrupt.KINDS and level in map(str, corrupt.LEVELS)):
        return name, None
    return split, Corruption(kind, int(level))


def curves(
    rows: Sequence[tables.Result], worse: Sequence[tables.Result]
) -> tuple[dict[str, list[tuple[int, float]]], float | None]:
    """Returns (kind -> [(level, video AUC)], the clean video AUC), over all manipulations."""
    found: dict[str, list[tuple[int, float]]] = {}
    for row in _over_all(worse):
        _, corruption = split_of(row["split"])
        if corruption and row["value"] is not None:
            found.setdefault(corruption.kind, []).append((corruption.level, row["value"]))
    clean = [row["value"] for row in _over_all(rows)]
    return {kind: sorted(line) for kind, line in found.items()}, next(iter(clean), None)


def rows_by_kind(
    rows: Sequence[tables.Result], worse: Sequence[tables.Result]
) -> dict[str, Any] | None:
    """Returns the table of the report: kinds over levels, the mean, and clean beside it."""
    if not worse:
        return None
    clean = next(iter(_over_all(rows)), None)
    cells: dict[str, list] = {}
    for row in _over_all(worse):
        split, corruption = split_of(row["split"])
        kind = corruption.kind if corruption else split.partition(MARK)[2]
        place = corruption.level if corruption else 6
        # The column's title says what the number is the mean of.
        told = row["reason"].removeprefix(_MEAN).lstrip("; ")
        cells.setdefault(kind, [clean, *[None] * 6])[place] = {**row, "reason": told}
    columns = ["clean", *(f"level {level}" for level in corrupt.LEVELS), "mean of levels"]
    lines = [{"name": kind, "cells": line, "count": ""} for kind, line in cells.items()]
    return {"first": "corruption", "last": "", "columns": columns, "rows": lines}


def _measured(
    table: ScoreTable, data: str, split: str, bootstrap: int, seed: int
) -> list[tables.Result]:
    rows, names = [], tables.video_names(table)
    for method, chosen in tables.groups(table).items():
        part = table.take(chosen)
        columns = names[chosen], part["label"], part["score"]
        found = metrics.evaluate_scores(
            *columns, MEASURED, bootstrap, seed, identity=part["identity"]
        )
        rows += [tables.result(data, split, method, name, value) for name, value in found.items()]
    return [*rows, {**tables.unscored_result(table), "split": split}]


def _check_whole(clean: ScoreTable, table: ScoreTable, split: str) -> None:
    try:
        compare.aligned(clean, table)
    except DataError as error:
        raise DataError(f"{split} beside {clean['split'][0]}: {error}") from error


def _means(rows: Sequence[tables.Result], data: str, split: str) -> list[tables.Result]:
    """Only of kinds of which every level was asked for; all six kinds for the mean of pixels."""
    levels: dict[tuple[str, str, str], list] = {}
    for row in rows:
        _, corruption = split_of(row["split"])
        if corruption and row["metric"] in MEASURED:
            levels.setdefault((row["method"], row["metric"], corruption.kind), []).append(row)
    whole = {key: found for key, found in levels.items() if len(found) == len(corrupt.LEVELS)}
    means = [
        _mean(data, f"{split}{MARK}{kind}", method, metric, found, _MEAN)
        for (method, metric, kind), found in whole.items()
    ]
    kinds = [kind for kind, entry in corrupt.KINDS.items() if not entry.video_only]
    for method, metric in dict.fromkeys(key[:2] for key in whole):
        found = [row for kind in kinds for row in whole.get((method, metric, kind), [])]
        if len(found) == len(kinds) * len(corrupt.LEVELS):
            reason = f"{_MEAN} of {len(kinds)} kinds"
            means.append(_mean(data, f"{split}{MARK}{PIXELS}", method, metric, found, reason))
    return means


def _mean(
    data: str, split: str, method: str, metric: str, found: Sequence[tables.Result], reason: str
) -> tables.Result:
    undefined = next((row for row in found if row["value"] is None), None)
    if undefined is not None:
        return tables.result(data, split, method, metric, Metric(None, reason=undefined["reason"]))
    videos = [row["n_videos"] for row in found]
    reason += _OF_OTHERS if len(set(videos)) > 1 else ""
    measured = Metric(
        float(np.mean([row["value"] for row in found])), None, None, min(videos), reason
    )
    return tables.result(data, split, method, metric, measured)


def _over_all(rows: Sequence[tables.Result]) -> list[tables.Result]:
    return [r for r in rows if r["metric"] == "video_auc" and r["method"] == tables.ALL]
