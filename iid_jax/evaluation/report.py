"""One detector on data sets: scores, summary.json and report.html in a folder."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from iid_jax.config import Config
from iid_jax.data import people, sampler, schema
from iid_jax.data.catalog import Catalog
from iid_jax.data.corrupt import Corruption
from iid_jax.data.roles import Roles, roles
from iid_jax.errors import DataError, nearest
from iid_jax.evaluation import (
    calibration,
    command_lines,
    examples,
    localisation,
    page,
    results,
    robustness,
    statistics,
    summary,
)
from iid_jax.evaluation.score import Detections, DetectorFunction, Scored, score
from iid_jax.evaluation.table import ScoreTable, file_name, write_csv
from iid_jax.models import detector as models

PROBE, VALIDATION = "probe", "val"
SCORES, REPORT, LOG = "scores", "report.html", "metrics.jsonl"
NEW_PEOPLE = ("test", VALIDATION)
_AT_THRESHOLD = (localisation.BOX_RECALL, localisation.BOX_PRECISION, localisation.FALSE_BOXES)
_FITTED_HERE = "the box threshold was chosen on pictures of this very split"
_NO_HOME = "the data set that the detector was trained on is not there: no validation scores"


class Loaded(Protocol):
    """A detector as `checkpoint.load_detector` returns it."""

    module: Any
    variables: Mapping[str, Any]
    input_spec: Any
    anchors: np.ndarray | None


class Target(NamedTuple):
    """A split of a data set to be scored."""

    catalog: Catalog
    split: str = "test"


@dataclasses.dataclass(frozen=True)
class _Job:
    """What all steps of one evaluation share."""

    detect: Callable[[np.ndarray], Detections]
    spec: Any
    local: bool
    config: Config
    home: str
    out: Path
    quiet: bool
    corruptions: Sequence[Corruption]
    scored: dict[tuple[str, str], Scored]

    @property
    def batch_size(self) -> int:
        return self.config.eval.batch_size

    @property
    def statistics(self) -> tuple[int, int]:
        """Bootstrap draws and seed."""
        return self.config.eval.bootstrap, self.config.seed


def evaluate_run(
    detector: Loaded,
    config: Config,
    targets: Sequence[Target],
    out: Path,
    command: str,
    train_stats: Mapping[str, Any] | None = None,
    quiet: bool = False,
    home: Catalog | None = None,
    log: Path | None = None,
    corruptions: Sequence[Corruption] = (),
) -> dict[str, Any]:
    """Scores a detector on every record of the targets and writes what was found under `out`.

    Writes scores/<data>.<split>.csv (and, of the data set it was trained on, the probe's and, of
    the manipulations trained on, the validation split's), summary.json and report.html; returns
    the summary.

    Args:
      detector: module, variables, input spec and anchors.
      config: the configuration it was trained with.
      command: what the user ran, as it stands in the summary.
      train_stats: steps, images, seconds, compile_seconds of the training, and `command`, the
        one that trained where it was another.
      home: the data set it was trained on, whose validation split gives the box threshold;
        by default the target of that name. A target's own validation split serves without it.
      log: the run's metrics.jsonl, by default the one in `out`.
      corruptions: what every target is scored under again, see `robustness.py`.

    Raises:
      DataError: no such split, a folder that cannot be written or that holds the summary of
        another configuration.
    """
    out = Path(out)
    for target in targets:
        _check_split(target)
    summary.check_out(out, config)
    (out / SCORES).mkdir(exist_ok=True)
    function = DetectorFunction(detector.module, detector.input_spec, detector.anchors)
    job = _Job(
        detect=function.bind(detector.variables),
        spec=detector.input_spec,
        local=detector.anchors is not None,
        config=config,
        home=people.data_name(config.data),
        out=out,
        quiet=quiet,
        corruptions=corruptions,
        scored={},
    )
    trained_on = [t.catalog for t in targets if t.catalog.name == job.home]
    home = home or next(iter(trained_on), None)
    for target in targets:
        _score(job, *target)  # Whole: the fit of the temperature, if first, would score a part.
    parts = [_evaluate(job, target, home) for target in targets]
    rows = [row for part in parts for row in (*part.results, *part.robustness)]
    beside = job.scored.keys() - {_name(target) for target in targets}
    rows += [results.unscored_result(job.scored[n].table) for n in beside if n[1] == PROBE]
    data = {t.catalog.name: summary.describe_data(t.catalog) for t in targets}
    made = summary.build(command, config.seed, config, data, rows, train_stats)
    lines = page.read_log(log or out / LOG)
    trained_by = (train_stats or {}).get("command") or command
    data_dir = targets[0].catalog.directory.parents[2]
    commands = {
        "this": command_lines.shareable(command),
        "train": command_lines.shareable(trained_by),
        "evaluate": command_lines.evaluation(out, map(_name, targets), data_dir),
    }
    publish(out, made, page.render(made, config, parts, lines, commands))
    return made


def unscored(made: Mapping[str, Any]) -> int:
    """Returns how many records of a summary's targets have no score."""
    return sum(r["value"] for r in made["results"] if r["metric"] == results.UNSCORED)


def headlines(made: Mapping[str, Any]) -> list[str]:
    """Returns the sentences that sum up a summary, for a terminal."""
    by_split: dict[tuple[str, str], list[results.Result]] = {}
    for row in made["results"]:
        if robustness.MARK in row["split"]:
            continue
        by_split.setdefault((row["data"], row["split"]), []).append(row)
    measured = (rows for rows in by_split.values() if any(r["metric"] == "video_auc" for r in rows))
    return [line for rows in measured for line in page.verdict(rows)]


def _evaluate(job: _Job, target: Target, home: Catalog | None) -> page.Part:
    catalog, split = target
    scored = _score(job, catalog, split)
    validation, why_none = _validation(job, home)
    rows = results.detection_results(scored.table, *job.statistics, validation, why_none)
    worse = robustness.score_corrupted(
        lambda corrupted, name: _score(job, corrupted, split, name).table,
        catalog,
        split,
        job.corruptions,
        job.config.seed,
    )
    rows += statistics.blur_results(catalog, split, job.spec, *job.statistics)
    if catalog.name == job.home and split != PROBE:
        rows += _leak(job, catalog, scored.table)
    operating, swaps, notes = None, None, []
    if job.local:
        operating, swaps, found, notes = _localise(job, target, scored, home)
        rows += found
    return page.Part(
        table=scored.table,
        results=rows,
        from_scores=command_lines.from_scores(
            job.out / SCORES / file_name(*_name(target)), *job.statistics
        ),
        pictures=examples.held_out(scored, catalog, job.spec, operating, job.config.seed),
        swaps=examples.partial_swaps(swaps, operating) if swaps else (),
        notes=notes,
        validation=calibration.apart(validation, scored.table),
        robustness=robustness.results(scored.table, worse, *job.statistics),
    )


def _score(job: _Job, catalog: Catalog, split: str, name: str = "", methods=()) -> Scored:
    """The scores of a split, or its `methods`, made and written once; they call it `name`."""
    name = name or split
    if (catalog.name, name) not in job.scored:
        label = f"score {catalog.name} {name}"
        rows = catalog.select(split, methods=methods)
        scored = score(job.detect, catalog, rows, job.spec, job.batch_size, job.quiet, label)
        scored.table.columns["split"] = np.full(len(rows), name)
        if (catalog.name, name) == (job.home, PROBE):
            table = results.with_roles(scored.table, _roles(job, catalog))
            scored = dataclasses.replace(scored, table=table)
        write_csv(job.out / SCORES / file_name(catalog.name, name), scored.table)
        job.scored[catalog.name, name] = scored
    return job.scored[catalog.name, name]


def _validation(job: _Job, home: Catalog | None) -> tuple[ScoreTable | None, str]:
    """The validation scores of what it was trained on, or why there are none."""
    if home is None:
        return None, _NO_HOME
    if not len(home.select(VALIDATION)):
        return None, f"{home.name} has no validation split"
    try:
        methods = sampler.chosen_methods(home, job.config.data)
    except DataError as error:
        return None, str(error)
    table = _score(job, home, VALIDATION, methods=methods).table
    return table.take((table["label"] == schema.REAL) | np.isin(table["method"], methods)), ""


def _leak(job: _Job, catalog: Catalog, test: ScoreTable) -> list[results.Result]:
    split = str(test["split"][0])
    if split not in NEW_PEOPLE:
        reason = f"people of the {split} split are not new to the detector"
        return results.undefined_leak(catalog.name, split, reason)
    if not len(catalog.select(PROBE)):
        return results.undefined_leak(catalog.name, split, "the data set has no probe split")
    probe = _score(job, catalog, PROBE).table
    return results.leak_results(test, probe, _roles(job, catalog), *job.statistics)


def _roles(job: _Job, catalog: Catalog) -> Roles:
    return roles(catalog, sampler.chosen_methods(catalog, job.config.data))


def _localise(
    job: _Job, target: Target, scored: Scored, home: Catalog | None
) -> tuple[Any, Any, list[results.Result], list[str]]:
    catalog, split = target
    chooser = (job.detect, home or catalog, job.spec, job.batch_size, job.quiet)
    operating = localisation.choose_threshold(*chooser)
    swaps = localisation.partial_swaps(
        job.detect,
        catalog,
        split,
        job.config.data,
        job.spec,
        models.feature_side(job.config.model),
        job.batch_size,
        job.config.seed,
    )
    truths = localisation.truth_boxes(scored, catalog, job.spec.size)
    measured = operating, *job.statistics
    rows = localisation.partial_swap_results(catalog.name, split, swaps, *measured)
    rows += localisation.localisation_results(scored, catalog, truths, *measured)
    if operating is not None and _name(target) == (operating.data, VALIDATION):
        none = {"value": None, "lo": None, "hi": None, "reason": _FITTED_HERE}
        rows = [{**r, **none} if r["metric"] in _AT_THRESHOLD else r for r in rows]
    return operating, swaps, rows, _notes(operating, swaps)


def _notes(
    operating: localisation.Operating | None, swaps: localisation.PartialSwaps | None
) -> list[str]:
    notes = []
    if operating is not None:
        notes.append(
            f"Boxes count from a score of {operating.threshold:.3f}, chosen on the genuine "
            f"validation pictures of {operating.data} to leave "
            f"{localisation.ALLOWED_FALSE_BOXES} boxes per picture."
        )
    if swaps is not None:
        left_out = ", ".join(f"{name} {n}" for name, n in sorted(swaps.left_out.items()))
        notes.append(f"{len(swaps.samples)} partial swaps; left out: {left_out or 'none'}.")
    return notes


def _check_split(target: Target) -> None:
    present = sorted(set(target.catalog.columns["split"].tolist()))
    if target.split not in present:
        hint = nearest(target.split, present)
        raise DataError(f"{target.catalog.name} has no split {target.split!r}{hint}")


def _name(target: Target) -> tuple[str, str]:
    return target.catalog.name, target.split


def publish(out: Path, made: dict[str, Any], text: str) -> None:
    summary.write(out, made)
    summary.write_text(out / REPORT, text)
