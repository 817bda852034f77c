"""What a table needs to be run, in order: trainings, evaluations, and what stands in their way."""

import dataclasses
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from iid_jax import config_file
from iid_jax.config import Config
from iid_jax.data import loading
from iid_jax.errors import UsageError
from iid_jax.evaluation import analyses, command_lines, summary
from iid_jax.evaluation.analyses import run_folder
from iid_jax.evaluation.declared import Cell, Row, Table, Training
from iid_jax.flags import parse_data, split_overrides
from iid_jax.models import registry

ROBUSTNESS = "robustness"


@dataclasses.dataclass(frozen=True)
class Step:
    """A command (`arguments` of the program) that is done when `produces` is there.

    `blocked` says why it cannot be run; `after` are the steps that it needs. One that `measures`
    them is done only while what it produced is no older than what they did; one with a `config` is
    a training, and only a run of that configuration is its.
    """

    arguments: tuple[str, ...]
    produces: Path
    blocked: str = ""
    after: tuple["Step", ...] = ()
    measures: bool = False
    config: Config | None = None

    def done(self) -> bool:
        """Returns whether what it produces is there, and is of the runs as they are now."""
        if self.config is not None:
            return summary.of_run(self.produces.parent, self.config) is not None
        if self.measures and not all(step.done() for step in self.after):
            return False
        runs = [step.produces for step in self.after] if self.measures else []
        return analyses.up_to_date(self.produces, runs)

    @property
    def told(self) -> str:
        """The command, to be pasted into a shell."""
        verb, *rest = (
            self.arguments if not self.arguments[0].startswith("-") else ("", *self.arguments)
        )
        return command_lines.of(verb, rest)


def plan(table: Table, workdir: Path, data_dir: str | os.PathLike) -> list[Step]:
    """Returns the steps of a table in the order to run them, each once."""
    steps: dict[Path, Step] = {}
    for row in table.rows:
        run = run_folder(workdir, row.training)
        for training in (row.training.start, row.training):
            if training and run_folder(workdir, training) not in steps:
                steps[run_folder(workdir, training)] = _training(training, workdir, data_dir, steps)
        for cell in row.cells:
            where = summary_folder(workdir, row, cell)
            if not cell.detector and where != run and where not in steps:
                steps[where] = _evaluation(cell, run, where, data_dir, steps[run])
    for row in table.rows:
        for cell in (cell for cell in row.cells if cell.detector):
            where = analyses.folder(table, row, cell, workdir)
            if where not in steps:
                needed = analyses.together(table, row)
                runs = tuple(steps[run_folder(workdir, training)] for training in needed)
                steps[where] = _analysis(table, row, cell, workdir, data_dir, runs)
    return list(steps.values())


def summary_folder(workdir: Path, row: Row, cell: Cell) -> Path:
    """Returns the folder whose summary.json holds a cell's number."""
    run = run_folder(workdir, row.training)
    if cell.corrupt:
        return run / "evaluations" / ROBUSTNESS
    if cell.data == row.training.data and cell.split == "test":
        return run
    return run / "evaluations" / f"{cell.data.replace('/', '.')}.{cell.split}"


def describe(table: Table, steps: Iterable[Step]) -> list[str]:
    """Returns what a dry run tells: every step with its state, then what is missing."""
    steps = list(steps)
    lines = [f"{table.title}: {len(table.rows)} rows, {len(steps)} steps"]
    for step in steps:
        state = "done" if step.done() else "blocked" if _why(step) else "to run"
        lines.append(f"{state:8} {step.told}")
    return [*lines, *missing(steps)]


def missing(steps: Iterable[Step]) -> list[str]:
    """Returns why steps cannot be run and what to do, each reason once."""
    why = (_why(step) for step in steps if not step.done())
    return [f"missing: {reason}" for reason in dict.fromkeys(why) if reason]


def _why(step: Step) -> str:
    return next((b.blocked for b in (step, *step.after) if not b.done() and b.blocked), "")


def _training(
    training: Training, workdir: Path, data_dir: str | os.PathLike, steps: Mapping[Path, Step]
) -> Step:
    run = run_folder(workdir, training)
    arguments = [f"--config={training.config}", *training.overrides]
    after: tuple[Step, ...] = ()
    if training.start:
        start = run_folder(workdir, training.start)
        arguments.append(f"--config.model.init_from={start}")
        after = (steps[start],)
    arguments += [f"--workdir={run}", f"--data_dir={data_dir}"]
    blocked = _unfit(training) or _absent(training.data, data_dir, made_when_trained=True)
    config = analyses.config_of(training, workdir)
    return Step(tuple(arguments), run / summary.NAME, blocked, after, config=config)


def _analysis(
    table: Table,
    row: Row,
    cell: Cell,
    workdir: Path,
    data_dir: str | os.PathLike,
    runs: tuple[Step, ...],
) -> Step:
    made_when_trained = {row.training.data for row in table.rows}
    words = analyses.arguments(table, row, cell, workdir)
    asked = next(word for word in words if word.startswith("--data=")).partition("=")[2]
    absent = (_absent(name, data_dir, name in made_when_trained) for name, _ in parse_data(asked))
    produces = analyses.folder(table, row, cell, workdir) / analyses.RESULTS
    blocked = next(filter(None, absent), "")
    return Step((*words, f"--data_dir={data_dir}"), produces, blocked, runs, measures=True)


def _evaluation(
    cell: Cell, run: Path, where: Path, data_dir: str | os.PathLike, trained: Step
) -> Step:
    split = cell.split.partition("@")[0]
    words = ["evaluate", f"--checkpoint={run}", f"--data={cell.data}:{split}", f"--out={where}"]
    words += [f"--corrupt={cell.corrupt}"] if cell.corrupt else []
    home = trained.blocked if cell.corrupt else ""
    blocked = home or _absent(cell.data, data_dir)
    words.append(f"--data_dir={data_dir}")
    return Step(tuple(words), where / summary.NAME, blocked, (trained,), measures=True)


def _unfit(training: Training) -> str:
    """Why this version cannot make the detector."""
    try:
        overrides, _ = split_overrides(list(training.overrides))
        model = config_file.load(training.config, overrides).model
        registry.entry(model.backbone)
    except UsageError as error:
        return f"{training.config}: {error}"
    if model.init_from and not Path(model.init_from).exists():
        return f"{model.init_from} (or .pth): weights of {model.backbone} are not there"
    return ""


def _absent(full_name: str, data_dir: str | os.PathLike, made_when_trained: bool = False) -> str:
    """Why a data set cannot be used, and how to get it."""
    name, _, config = full_name.partition("/")
    if any((Path(data_dir) / name / config).glob("[0-9]*.[0-9]*.[0-9]*/features.json")):
        return ""
    try:
        source = " --source=DIR" if loading.builder_class(name).NEEDS_SOURCE else ""
    except UsageError as error:
        return str(error)
    if not source and made_when_trained:
        return ""
    told = f"; datasets/{name}/README.md says how to get it" if source else ""
    return (
        f"{full_name} is not under --data_dir={data_dir}{told}; then run "
        f"python -m iid_jax.main prepare --dataset={full_name}{source} --data_dir={data_dir}"
    )
