"""The analyses of a table: where each lies, the command that makes it, and its numbers.

`analyze` writes a results.json; it is read here as any program would, and checked.
"""

import functools
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from iid_jax import config_file
from iid_jax.config import Config
from iid_jax.errors import DataError, UsageError
from iid_jax.evaluation import summary
from iid_jax.evaluation.declared import Cell, Row, Table, Training
from iid_jax.flags import split_overrides

RESULTS = "results.json"
RUN = "RUN"


def run_folder(workdir: Path, training: Training) -> Path:
    """Returns the workdir of a training below that of the tables: shared by all of them."""
    return Path(workdir) / "runs" / training.name


@functools.cache
def config_of(training: Training, workdir: Path) -> Config | None:
    """Returns the configuration of a training, None where this version cannot make it."""
    overrides, _ = split_overrides(list(training.overrides))
    if training.start:
        overrides["model.init_from"] = str(run_folder(workdir, training.start))
    try:
        return config_file.load(training.config, overrides)
    except UsageError:
        return None


def trained(workdir: Path, training: Training) -> dict[str, Any] | None:
    """Returns the summary of a training; None where there is none, or one of another.

    Raises:
      DataError: it is damaged.
    """
    config = config_of(training, workdir)
    return config and summary.of_run(run_folder(workdir, training), config)


def together(table: Table, row: Row) -> list[Training]:
    """Returns the trainings that are measured in one go with a row's."""
    if table.analysis.apart:
        return [row.training]
    return [r.training for r in table.rows if r.training.seed == row.training.seed]


def folder(table: Table, row: Row, cell: Cell, workdir: Path) -> Path:
    """Returns the folder whose results.json holds a cell's number."""
    told = _data(table, cell).replace("/", ".").replace(":", ".").replace(",", "+")
    where = row.training.name if table.analysis.apart else f"seed-{row.training.seed}"
    return Path(workdir) / "analyses" / table.analysis.folder / where / told


def arguments(table: Table, row: Row, cell: Cell, workdir: Path) -> tuple[str, ...]:
    """Returns the words of the command that measures a cell, without --data_dir."""
    analysis = table.analysis
    first, *others = (str(run_folder(workdir, t)) for t in together(table, row))
    words = ["analyze", analysis.measurement, f"--checkpoint={first}"]
    words += [f"--against={','.join(others)}"] if others else []
    words += [f"--data={_data(table, cell)}", *analysis.flags]
    if analysis.apart:
        words += [f"--config={row.training.config}", *row.training.overrides]
    return (*words, f"--out={folder(table, row, cell, workdir)}")


def up_to_date(path: Path, runs: Iterable[Path]) -> bool:
    """Returns whether a file is there, and is no older than the summaries of the `runs` it is of.

    A run that is gone leaves nothing up to date. In a tree whose times were lost, by a copy without
    them, what looks older is measured again.
    """
    try:
        made = path.stat().st_mtime_ns
        return all(run.stat().st_mtime_ns <= made for run in runs)
    except (FileNotFoundError, NotADirectoryError):
        return False


def number(table: Table, row: Row, cell: Cell, workdir: Path) -> dict[str, Any] | None:
    """Returns a cell's value, lo, hi and reason; None where its runs, as they are, lack it.

    Raises:
      DataError: the results are damaged.
    """
    path = folder(table, row, cell, workdir) / RESULTS
    runs = [run_folder(workdir, t) / summary.NAME for t in together(table, row)]
    measured = all(trained(workdir, training) for training in together(table, row))
    if not measured or not up_to_date(path, runs):
        return None
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        found = stored["measurements"][table.analysis.measurement]["results"]
        wanted = _detector(table, row, cell, workdir), f"{cell.data}:{cell.split}"
        keys = "detector", "data", "method", "metric"
        for r in found:
            if tuple(r[key] for key in keys) == (*wanted, cell.method, cell.metric):
                return {key: r[key] for key in ("value", "lo", "hi", "reason")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} cannot be read ({error}); delete it") from error
    return None


def _data(table: Table, cell: Cell) -> str:
    """What is given to --data for a cell."""
    name = f"{cell.data}:{cell.split}"
    return next(item for item in table.analysis.data if name in item.split(","))


def _detector(table: Table, row: Row, cell: Cell, workdir: Path) -> str:
    runs: Sequence[Training] = together(table, row)
    names = summary.run_names([run_folder(workdir, training) for training in runs])
    return cell.detector.replace(RUN, names[runs.index(row.training)])
