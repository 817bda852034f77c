"""Scores files alone, without a detector or data: measured again, and set side by side."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from iid_jax.config import EvalConfig
from iid_jax.errors import DataError
from iid_jax.evaluation import (
    calibration,
    command_lines,
    compare,
    page,
    report,
    results,
    robustness,
    summary,
)
from iid_jax.evaluation.compare import Difference
from iid_jax.evaluation.table import ScoreTable, read_csv

_ROLES_UNKNOWN = "the probe's scores do not say who was a donor in training: no column `role`"
_NO_VALIDATION = "no validation scores given; add the run's .val.csv to --from_scores"
Tables = dict[tuple[str, str], tuple[ScoreTable, Path]]


def evaluate_scores(
    paths: Sequence[Path],
    out: Path,
    command: str,
    seed: int = 0,
    bootstrap: int | None = None,
    against: Sequence[Path] = (),
) -> dict[str, Any]:
    """Measures scores files and returns the summary, with `comparison` where there is `against`.

    A probe file beside the test file of the same data is not a result of its own; nor is a
    validation file beside others, which gives the temperature, nor are corrupted splits.
    `against` holds another run's scores of the same records.

    Raises:
      DataError: a file is not a scores file, lacks records of the other, or `out` cannot be
        written.
    """
    tables, others = _read(paths), _read(against)
    summary.check_out(Path(out), None)
    bootstrap = EvalConfig().bootstrap if bootstrap is None else bootstrap
    drawn = bootstrap, seed
    differences = _compare(tables, others, *drawn)
    alone = {robustness.split_of(split)[0] for _, split in tables} == {report.VALIDATION}
    parts = [
        _part(tables, name, drawn)
        for name in tables
        if not _belongs_to_another(tables, *name, alone)
    ]
    rows = [row for part in parts for row in (*part.results, *part.robustness)]
    data = {name: _describe(name, tables) for name in dict.fromkeys(name for name, _ in tables)}
    made = summary.build(command, seed, None, data, rows)
    if against:
        made["comparison"] = [dataclasses.asdict(row) for row in differences]
    commands = dict.fromkeys(("this", "train", "evaluate"), command_lines.shareable(command))
    text = page.render(made, None, parts, [], commands, differences)
    report.publish(Path(out), made, text)
    return made


def side_by_side(made: Mapping[str, Any]) -> list[str]:
    """Returns the lines of a summary's comparison for a terminal: none where there is none."""
    lines = []
    for row in made.get("comparison", []):
        where = f"{row['data']} {row['split']} {row['method']} {row['metric']}"
        if row["difference"] is None:
            lines.append(f"{where}: undefined: {row['reason']}")
            continue
        text = f"{where}: {row['first']:.3f} and {row['second']:.3f}, {row['difference']:+.3f}"
        if row["lo"] is not None:
            text += f" ({row['lo']:+.3f} to {row['hi']:+.3f})"
        if row["p"] is not None:
            text += f", DeLong p {row['p']:.2g}"
        if row["n_left_out"]:
            text += f"; {row['n_left_out']} records without a score of one of the two left out"
        lines.append(text)
    return lines


def left_out(made: Mapping[str, Any]) -> int:
    """Returns how many records of a summary's comparison have no score of one of the two."""
    over_all = [r for r in made.get("comparison", []) if r["method"] == results.ALL]
    return max((row["n_left_out"] for row in over_all), default=0)


def _read(paths: Sequence[Path]) -> Tables:
    tables: Tables = {}
    for path in paths:
        for name, table in _split_up(read_csv(path)).items():
            if name in tables:
                raise DataError(f"{path}: the scores of {name[0]}, {name[1]}, are given twice")
            tables[name] = (table, Path(path))
    return tables


def _part(tables: Tables, name: tuple[str, str], drawn: tuple[int, int]) -> page.Part:
    data, split = name
    table, path = tables[name]
    validation, why_none = _validation(tables, data)
    rows = results.detection_results(table, *drawn, validation, why_none)
    if split in report.NEW_PEOPLE and (data, report.PROBE) in tables:
        probe, _ = tables[data, report.PROBE]
        known = results.roles_in(probe)
        rows += (
            results.leak_results(table, probe, known, *drawn)
            if known
            else results.undefined_leak(data, split, _ROLES_UNKNOWN)
        )
    worse = {
        corruption: other
        for (of, called), (other, _) in tables.items()
        for base, corruption in [robustness.split_of(called)]
        if of == data and base == split and corruption
    }
    return page.Part(
        table=table,
        results=rows,
        from_scores=command_lines.from_scores(path, *drawn),
        validation=calibration.apart(validation, table),
        robustness=robustness.results(table, worse, *drawn),
    )


def _validation(tables: Tables, data: str) -> tuple[ScoreTable | None, str]:
    """The validation scores of the same data, or the only ones given."""
    given = {of: table for (of, split), (table, _) in tables.items() if split == report.VALIDATION}
    if data in given:
        return given[data], ""
    if len(given) == 1:
        return next(iter(given.values())), ""
    return None, _NO_VALIDATION if not given else "validation scores of several other data sets"


def _belongs_to_another(tables: Tables, data: str, split: str, alone: bool) -> bool:
    """Whether a split has no results of its own; `alone`: there is nothing but validation."""
    base, corruption = robustness.split_of(split)
    if corruption:
        return (data, base) in tables
    if split == report.VALIDATION:
        return not alone
    return split == report.PROBE and (data, "test") in tables


def _compare(tables: Tables, others: Tables, bootstrap: int, seed: int) -> list[Difference]:
    found = []
    for name, (other, path) in others.items():
        if name not in tables:
            raise DataError(f"{path}: no scores of {name[0]}, {name[1]}, to set beside it")
        found += compare.compare(tables[name][0], other, bootstrap, seed)
    return found


def _split_up(table: ScoreTable) -> dict[tuple[str, str], ScoreTable]:
    names = sorted(set(zip(table["data"].tolist(), table["split"].tolist(), strict=True)))
    return {
        (data, split): table.take((table["data"] == data) & (table["split"] == split))
        for data, split in names
    }


def _describe(name: str, tables: Tables) -> dict[str, Any]:
    given = [table for (data, _), (table, _) in tables.items() if data == name]
    # Corrupted splits hold the records of the clean one again.
    videos, records = (
        len(np.unique(np.concatenate([table[column] for table in given])))
        for column in ("video_id", "record")
    )
    return {
        "fingerprint": None,
        "videos": videos,
        "frames": records,
        "landmarker": None,
    }
