"""The numbers of a table, read from the summaries of its runs; published ones stand beside them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from iid_jax.evaluation import analyses, chain, page, summary
from iid_jax.evaluation.compare import Difference, compare
from iid_jax.evaluation.declared import Cell, Row, Table
from iid_jax.evaluation.report import LOG, SCORES
from iid_jax.evaluation.results import ALL
from iid_jax.evaluation.table import file_name, read_csv

SEEN = "seen"
# A difference of AUC is told only where it is known this well.
NARROW = 0.03
# Gained since the look before: an arm that still rises by more is not at its plateau.
RISING = 0.005


def markdown(table: Table, workdir: Path) -> list[str]:
    """Returns the table's lines; what was not measured is a dash. Published rows are marked."""
    titles = list(dict.fromkeys(cell.title for row in table.rows for cell in row.cells))
    head = ["row", "seeds", "steps (best)", *titles]
    lines = [f"## {table.title}", "", _line(head), _line(["---"] * len(head))]
    sources = []
    for label in dict.fromkeys(row.label for row in table.rows):
        rows = [row for row in table.rows if row.label == label]
        lines.append(_line(_ours(table, rows, titles, workdir)))
        if rows[0].published:
            values = [
                f"{rows[0].published[t]:.4f}" if t in rows[0].published else "" for t in titles
            ]
            lines.append(_line([f"{label}, *published*", "", "", *values]))
            sources.append(rows[0].source)
    notes = [f"Published: {source}." for source in dict.fromkeys(sources)]
    return [*lines, "", *notes, *_differences(table, workdir)]


def files(table: Table, workdir: Path) -> tuple[Path, Path]:
    """Returns the paths of a table's Markdown and JSON."""
    stem = table.file or table.name
    return workdir / f"{stem}.md", workdir / f"{stem}.json"


def write(table: Table, workdir: Path) -> list[str]:
    """Writes a table's Markdown and JSON under `workdir` and returns the Markdown's lines.

    Raises:
      DataError: they cannot be written, or a summary is damaged.
    """
    lines = markdown(table, workdir)
    told, stored = files(table, workdir)
    summary.write_text(told, "\n".join(lines) + "\n")
    numbers = [
        {
            "row": row.label,
            "run": row.training.name,
            "published": dict(row.published),
            "cells": {cell.title: _number(table, row, cell, workdir) for cell in row.cells},
        }
        for row in table.rows
    ]
    text = json.dumps({"table": table.name, "rows": numbers}, indent=1, ensure_ascii=False)
    summary.write_text(stored, text + "\n")
    return lines


def _ours(table: Table, rows: Sequence[Row], titles: Sequence[str], workdir: Path) -> list[str]:
    """A line of our numbers: with one seed its interval, with more the mean and the spread."""
    cells = []
    for title in titles:
        found = [
            _number(table, row, cell, workdir)
            for row in rows
            for cell in row.cells
            if cell.title == title
        ]
        cells.append(_told([f for f in found if f is not None and f["value"] is not None], found))
    done = [row for row in rows if analyses.trained(workdir, row.training)]
    steps = "; ".join(dict.fromkeys(_plateau(row, workdir) for row in done))
    return [rows[0].label, f"{len(done)} of {len(rows)}", steps, *cells]


def _told(known: list[dict[str, Any]], found: list[dict[str, Any] | None]) -> str:
    if not known:
        reasons = [f["reason"] for f in found if f is not None]
        return f"undefined: {reasons[0]}" if reasons else ("-" if found else "")
    values = [f["value"] for f in known]
    undefined = sum(f is not None for f in found) - len(known)
    of_some = f", {undefined} undefined" if undefined else ""
    if len(values) > 1:
        return f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}{of_some}"
    if known[0]["lo"] is None:
        return f"{values[0]:.3f}{of_some}"
    return f"{values[0]:.3f} ({known[0]['lo']:.3f} to {known[0]['hi']:.3f}){of_some}"


def _number(table: Table, row: Row, cell: Cell, workdir: Path) -> dict[str, Any] | None:
    """A cell's value, lo, hi and reason; None where the run, as it is now, was not measured."""
    if cell.detector:
        return analyses.number(table, row, cell, workdir)
    where = chain.summary_folder(workdir, row, cell)
    run = chain.run_folder(workdir, row.training) / summary.NAME
    done = analyses.trained(workdir, row.training)
    made = done and analyses.up_to_date(where / summary.NAME, [run]) and summary.read(where)
    if not made:
        return None
    chosen = [
        r
        for r in made["results"]
        if (r["data"], r["split"], r["metric"]) == (cell.data, cell.split, cell.metric)
    ]
    if cell.method != SEEN:
        found = next((r for r in chosen if r["method"] == cell.method), None)
        return found and {key: found[key] for key in ("value", "lo", "hi", "reason")}
    left_out = {c.method for c in row.cells} - {SEEN}
    values = [r["value"] for r in chosen if r["method"] not in (left_out | {ALL})]
    if not values or None in values:
        return None
    return {"value": float(np.mean(values)), "lo": None, "hi": None, "reason": ""}


def _plateau(row: Row, workdir: Path) -> str:
    """The steps of a run, the one that was best in validation, and whether it still rose."""
    run = chain.run_folder(workdir, row.training)
    looks = [
        (line["step"], line["val_video_auc"])
        for line in page.read_log(run / LOG)
        if "val_video_auc" in line
    ]
    steps = (summary.read(run) or {"train": {}})["train"].get("steps")
    if not looks:
        return f"{steps}"
    best = max(looks, key=lambda look: (look[1], look[0]))  # Of equals training keeps the last.
    before = max((value for step, value in looks if step < best[0]), default=0.0)
    rising = best[0] == looks[-1][0] and best[1] - before > RISING
    return f"{steps} ({best[0]}{', still rising' if rising else ''})"


def _differences(table: Table, workdir: Path) -> list[str]:
    """Paired differences to the baseline on the test split that both were trained for."""
    lines = []
    for label in dict.fromkeys(row.label for row in table.rows if row.baseline):
        rows = [row for row in table.rows if row.label == label]
        by_seed = [_paired(table, row, workdir) for row in rows]
        for method in _compared(rows[0]):
            pairs = [found[method] for found in by_seed if method in found]
            if pairs:
                told = _judged([(p.difference, (p.hi - p.lo) / 2.0) for p in pairs])
                left_out = max(p.n_left_out for p in pairs)
                told += f" (up to {left_out} records without a score left out)" if left_out else ""
                lines.append(f"- {label} against {rows[0].baseline}, {method}: {told}")
    return (
        ["", "Differences in video AUC on the same records, paired:", "", *lines] if lines else []
    )


def _compared(row: Row) -> list[str]:
    return [ALL, *(c.method for c in row.cells if c.method not in (ALL, SEEN))]


def _paired(table: Table, row: Row, workdir: Path) -> dict[str, Difference]:
    """By manipulation, the difference in video AUC of a run and its baseline of the same seed."""
    others = [r for r in table.rows if r.label == row.baseline]
    other = next((r for r in others if r.training.seed == row.training.seed), None)
    pair = [r.training for r in (other, row) if r is not None]
    name = file_name(row.training.data, "test")
    paths = [chain.run_folder(workdir, training) / SCORES / name for training in pair]
    done = all(analyses.trained(workdir, training) for training in pair)
    if len(pair) < 2 or not done or not all(path.exists() for path in paths):
        return {}
    compared = compare(*(read_csv(path) for path in paths))
    return {d.method: d for d in compared if d.metric == "video_auc" and d.lo is not None}


def _judged(found: Sequence[tuple[float, float]]) -> str:
    """The mean over n seeds ± its half-width, the root of r^2 + (t s)^2 / n, and the verdict.

    r^2 is the mean square of the half-widths over test records: the seeds share these, so that it
    does not shrink with n. s is the standard deviation over seeds, t Student's 97.5 % quantile of
    n - 1 degrees of freedom. One seed has no s: what is told is of that seed alone.
    """
    differences, halves = (np.array(part) for part in zip(*found, strict=True))
    seeds, mean = len(found), float(differences.mean())
    half = float(np.sqrt(np.square(halves).mean()))
    if seeds > 1:
        error = differences.std(ddof=1) / np.sqrt(seeds)
        half = float(np.hypot(half, stats.t.ppf(0.975, seeds - 1) * error))
    verdict = (
        "inconclusive" if half > NARROW else "no effect seen" if abs(mean) <= half else "an effect"
    )
    if seeds == 1:
        return f"{mean:+.3f} ± {half:.3f} in one seed: {verdict} in it; others were not tried"
    return f"{mean:+.3f} ± {half:.3f} over {seeds} seeds: {verdict}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
