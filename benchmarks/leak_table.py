"""Implicit identity leakage on real photographs: few donors, never genuine, and the control.

  python benchmarks/leak_table.py --workdir=runs/leak --data_dir=data --source=LFW

Prepares what is missing from --source, trains what is missing with the main job (two gaps, two
methods, three seeds: 12 runs; half of them with one of --gaps), measures an untrained network and
single numbers of a face beside them, and prints the table as Markdown. Started again, it goes on
where it was.

Trained is on the two swaps of whole faces (--trained): a fake of `expression` has its target's own
face, which is among the genuine ones, and would teach that identity says nothing.

Columns, of people that training never saw: `leak` (genuine pictures of the donors of training fakes
against those of new people, 0.5 is none), video AUC on `new people` with the manipulations of the
training and with the `unseen` ones, each with the share of fakes that score `above` their `own`
genuine photograph. Intervals (95 %) are over people or videos. A run stands there twice: at the
step that its validation liked best, which can be an early one, and at its last.
"""

import argparse
import json
import statistics as averages
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from iid_jax import checkpoint, child, config_file, leak_metrics, metrics
from iid_jax.data import people
from iid_jax.data.catalog import Catalog, open_catalog
from iid_jax.data.roles import roles
from iid_jax.evaluation import results, score, statistics
from iid_jax.evaluation.table import ScoreTable, read_csv
from iid_jax.measures import Metric
from iid_jax.models import InputSpec, detector
from iid_jax.models.initial import initialise

GAPS, METHODS = ("donor", "none"), ("binary", "iid")
LAST = ", last step"
# The scores of the splits test and probe.
Tables = tuple[ScoreTable, ScoreTable]
COLUMNS = ("leak", "new people", "above own", "unseen", "above own, unseen")
BOOTSTRAP = 1000


class Row(NamedTuple):
    """One line of the table: a gap, what scored, its seed, the columns' values, seconds."""

    gap: str
    what: str
    seed: str
    values: Mapping[str, Metric]
    seconds: str = ""


def main(argv: list[str] | None = None) -> int:
    """Trains, collects and prints."""
    flags = _flags(argv)
    rows, differences = [], []
    for gap in flags.gaps:
        name = f"{flags.data}/{people.config_name(gap, flags.people, _donors(gap, flags))}"
        _prepare(name, flags)
        for method in METHODS:
            rows += [_trained(gap, method, seed, name, flags) for seed in flags.seeds]
        catalog = open_catalog(name, flags.data_dir)
        ends = {m: [_last(m, seed, catalog, flags) for seed in flags.seeds] for m in METHODS}
        for method, made in ends.items():
            rows += [
                Row(gap, method + LAST, str(seed), measure(*tables, catalog, flags.trained))
                for seed, tables in zip(flags.seeds, made, strict=True)
            ]
        rows.append(_untrained(gap, catalog, flags))
        rows.append(_best_statistic(gap, catalog, flags))
        differences.append(f"{gap}: {_cell(_difference(ends, catalog, flags))}")
    print(_markdown(rows))
    print(f"\nleak, {METHODS[1]} less {METHODS[0]}, last step, paired over people:")
    print("\n".join(differences))
    return 0


def measure(
    test: ScoreTable, probe: ScoreTable, catalog: Catalog, trained: Sequence[str]
) -> dict[str, Metric]:
    """Returns the columns of a score on the test and the probe split of a data set."""
    known = roles(catalog, sorted(trained))
    leak = results.leak_results(test, probe, known, BOOTSTRAP, 0)
    found = next(row for row in leak if row["metric"] == leak_metrics.LEAK)
    values = {"leak": Metric(found["value"], found["lo"], found["hi"], reason=found["reason"])}
    genuine, seen = test["label"] == 0, np.isin(test["method"], trained)
    for column, chosen in (("new people", genuine | seen), ("unseen", genuine | ~seen)):
        part = test.take(chosen)
        columns = part["video_id"], part["label"], part["score"]
        measured = metrics.evaluate_scores(*columns, ("video_auc",), BOOTSTRAP)
        share = "above own, unseen" if column == "unseen" else "above own"
        values |= {column: measured["video_auc"], share: above_own(part)}
    return values


def above_own(test: ScoreTable) -> Metric:
    """Returns the share of fakes with a higher score than their genuine photograph; ties half."""
    keys = list(zip(test["identity"].tolist(), test["frame"].tolist(), strict=True))
    label, value = test["label"].tolist(), test["logit"].tolist()
    own = {key: s for key, is_fake, s in zip(keys, label, value, strict=True) if not is_fake}
    pairs = [
        (s, own[key])
        for key, is_fake, s in zip(keys, label, value, strict=True)
        if is_fake and key in own and np.isfinite(s) and np.isfinite(own[key])
    ]
    if not pairs:
        return Metric(None, reason="no pairs")
    fake, genuine = np.array(pairs).T
    return Metric(float(((fake > genuine) + 0.5 * (fake == genuine)).mean()))


def _flags(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument("--data_dir", type=Path, required=True)
    parser.add_argument("--source", type=Path, help="photographs, <person>/*.jpg")
    parser.add_argument("--data", default="photo_swaps")
    swaps = ["affine_swap", "poisson_swap"]
    parser.add_argument("--trained", nargs="+", default=swaps, help="manipulations trained on")
    parser.add_argument("--gaps", nargs="+", choices=GAPS, default=list(GAPS))
    parser.add_argument("--people", type=int, default=80)
    parser.add_argument("--donors", type=int, default=10)
    parser.add_argument("--steps", type=int, default=0, help="by default the configuration's")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    return parser.parse_args(argv)


def _prepare(name: str, flags: argparse.Namespace) -> None:
    if any((flags.data_dir / name).glob("*/features.json")):
        return
    words = [f"--dataset={name}", f"--data_dir={flags.data_dir}"]
    child.run_whole("prepare", *words, *([f"--source={flags.source}"] if flags.source else []))


def _donors(gap: str, flags: argparse.Namespace) -> int | None:
    """In the control everybody is a donor: the faces of a few say fake even if genuine too."""
    return None if gap == "none" else flags.donors


def _arguments(gap: str, method: str, seed: int, flags: argparse.Namespace) -> str:
    words = f"method={method},seed={seed},data={flags.data},gap={gap}"
    words += f",people={flags.people},donors={_donors(gap, flags) or 0}"
    return words + (f",steps={flags.steps}" if flags.steps else "")


def _trained(gap: str, method: str, seed: int, name: str, flags: argparse.Namespace) -> Row:
    workdir = _workdir(name, method, seed, flags)
    if not (workdir / "summary.json").exists():
        config = f"--config=configs/quickstart.py:{_arguments(gap, method, seed, flags)}"
        methods = f"--config.data.methods={','.join(flags.trained)}"
        child.run_whole(config, methods, f"--workdir={workdir}", f"--data_dir={flags.data_dir}")
    stem = name.replace("/", ".")
    test, probe = (
        read_csv(workdir / "scores" / f"{stem}.{part}.csv") for part in ("test", "probe")
    )
    values = measure(test, probe, open_catalog(name, flags.data_dir), flags.trained)
    made = json.loads((workdir / "summary.json").read_text(encoding="utf-8"))
    return Row(gap, method, str(seed), values, f"{made['train']['seconds']:.0f}")


def _last(method: str, seed: int, catalog: Catalog, flags: argparse.Namespace) -> Tables:
    """A run's scores at its last step: every run has then seen as many samples as the others."""
    folder = _workdir(catalog.name, method, seed, flags) / checkpoint.FOLDER
    last = max(int(step.name) for step in folder.iterdir() if step.name.isdecimal())
    loaded = checkpoint.load_detector(folder / str(last))
    made = score.DetectorFunction(loaded.module, loaded.input_spec, loaded.anchors)
    return _scored(made.bind(loaded.variables), loaded.input_spec, catalog)


def _difference(
    ends: Mapping[str, Sequence[Tables]], catalog: Catalog, flags: argparse.Namespace
) -> Metric:
    known = roles(catalog, sorted(flags.trained))
    first, second = ([results.faces(*tables) for tables in ends[method]] for method in METHODS)
    return leak_metrics.leak_difference(known, first, second, BOOTSTRAP, 0)


def _workdir(name: str, method: str, seed: int, flags: argparse.Namespace) -> Path:
    kind = "+".join([f"steps={flags.steps}", *flags.trained])
    return flags.workdir / name / kind / f"{method}-{seed}"


def _untrained(gap: str, catalog: Catalog, flags: argparse.Namespace) -> Row:
    """A detector as it is before its first step."""
    seed = flags.seeds[0]
    config = config_file.load(f"configs/quickstart.py:{_arguments(gap, 'binary', seed, flags)}")
    module, spec, anchors = detector.build_detector(config.model)
    detect = score.DetectorFunction(module, spec, anchors).bind(initialise(module, spec, seed))
    values = measure(*_scored(detect, spec, catalog), catalog, flags.trained)
    return Row(gap, "untrained", str(seed), values)


def _scored(
    detect: Callable[[np.ndarray], score.Detections], spec: InputSpec, catalog: Catalog
) -> Tables:
    test, probe = (
        score.score(detect, catalog, catalog.select(split), spec, 64, quiet=True).table
        for split in ("test", "probe")
    )
    return test, probe


def _best_statistic(gap: str, catalog: Catalog, flags: argparse.Namespace) -> Row:
    """Of the single numbers of a face the one farthest from 0.5, chosen for each column anew."""
    config = config_file.load(f"configs/quickstart.py:{_arguments(gap, 'binary', 0, flags)}")
    _, spec, _ = detector.build_detector(config.model)
    parts = []
    for split in ("test", "probe"):
        rows = catalog.select(split)
        parts.append((rows, statistics.measure(catalog, rows, spec)))
    best: dict[str, tuple[str, Metric]] = {}
    for name in statistics.STATISTICS:
        for sign in (1, -1):
            test, probe = (_table(catalog, rows, sign * found[name]) for rows, found in parts)
            for column, value in measure(test, probe, catalog, flags.trained).items():
                if column not in best or _of(value) > _of(best[column][1]):
                    best[column] = f"{'-' * (sign < 0)}{name}", value
    names = ", ".join(best[column][0] for column in COLUMNS)
    values = {column: value for column, (_, value) in best.items()}
    return Row(gap, f"best single statistic ({names})", "", values)


def _of(metric: Metric) -> float:
    return -1.0 if metric.value is None else metric.value


def _table(catalog: Catalog, rows: np.ndarray, value: np.ndarray) -> ScoreTable:
    """A number of each row as a table of scores: only their order and means are looked at."""
    names = ("video_id", "frame", "method", "identity", "label", "split")
    columns = {name: catalog.columns[name][rows] for name in names}
    return ScoreTable(
        columns
        | {
            "data": np.full(len(rows), catalog.name),
            "record": rows.astype(str),
            "logit": value,
            "score": value,
            "status": np.where(np.isfinite(value), "ok", "unreadable"),
        }
    )


def _markdown(rows: list[Row]) -> str:
    lines = ["| gap | scored by | seed | " + " | ".join(COLUMNS) + " | training s |"]
    lines.append("|---" * (4 + len(COLUMNS)) + "|")
    for row in rows:
        cells = " | ".join(_cell(row.values[column]) for column in COLUMNS)
        lines.append(f"| {row.gap} | {row.what} | {row.seed} | {cells} | {row.seconds} |")
    for gap in GAPS:
        for what in (method + at for at in ("", LAST) for method in METHODS):
            found = [row for row in rows if (row.gap, row.what) == (gap, what)]
            if len(found) > 1:
                cells = " | ".join(_over_seeds(found, column) for column in COLUMNS)
                lines.append(f"| {gap} | {what} | mean, spread | {cells} | |")
    return "\n".join(lines)


def _cell(metric: Metric) -> str:
    if metric.value is None:
        return f"undefined: {metric.reason}"
    if metric.lo is None:
        return f"{metric.value:.3f}"
    return f"{metric.value:.3f} ({metric.lo:.3f} to {metric.hi:.3f})"


def _over_seeds(rows: list[Row], column: str) -> str:
    known = [row.values[column].value for row in rows if row.values[column].value is not None]
    if len(known) < 2:
        return "undefined: fewer than two seeds"
    return f"{averages.mean(known):.3f} ± {averages.stdev(known):.3f}"


if __name__ == "__main__":
    sys.exit(main())
