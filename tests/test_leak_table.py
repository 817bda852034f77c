"""The leakage table: its columns are right on scores made up for it, and runs are not repeated."""

import argparse
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from iid_jax.data import schema
from iid_jax.evaluation import table
from iid_jax.measures import Metric

UNSEEN = "poisson_swap"
TRAINED = ("affine_swap", "resynthesis", "expression")


@pytest.fixture(scope="module")
def script():
    path = Path(__file__).parents[1] / "benchmarks" / "leak_table.py"
    spec = importlib.util.spec_from_file_location("leak_table", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.BOOTSTRAP = 20
    return module


@pytest.fixture(scope="module")
def tables(script, practice):
    """Makes the tables of test and probe from a function of the catalog's columns and rows."""

    def make(score):
        made = []
        for split in ("test", "probe"):
            rows = practice.select(split)
            made.append(script._table(practice, rows, score(practice.columns, rows)))
        return made

    return make


def noise(columns, rows):
    return np.random.default_rng(0).normal(size=len(rows))


def test_a_perfect_score_that_knows_nobody_leaks_nothing(script, practice, tables):
    test, probe = tables(lambda c, rows: c["label"][rows] + 0.01 * noise(c, rows))
    values = script.measure(test, probe, practice, TRAINED)
    assert set(values) == set(script.COLUMNS)
    assert [values[c].value for c in script.COLUMNS[1:]] == [1.0] * 4
    assert abs(values["leak"].value - 0.5) < 0.2


def test_a_score_that_marks_the_people_of_the_training_leaks_all(script, practice, tables):
    training = practice.people("train")
    test, probe = tables(lambda c, rows: np.isin(c["identity"][rows], sorted(training)) * 1.0)
    values = script.measure(test, probe, practice, TRAINED)
    assert values["leak"].value == 1.0
    assert [values[c].value for c in script.COLUMNS[1:]] == [0.5] * 4


def test_seen_and_unseen_manipulations_are_kept_apart(script, practice, tables):
    test, probe = tables(lambda c, rows: (c["method"][rows] == UNSEEN) * 1.0)
    values = script.measure(test, probe, practice, TRAINED)
    assert (values["unseen"].value, values["new people"].value) == (1.0, 0.5)
    assert (values["above own, unseen"].value, values["above own"].value) == (1.0, 0.5)


def test_share_above_the_own_genuine_picture_is_that_of_the_pairs(script, practice, tables):
    test, _ = tables(noise)
    score = dict(zip(test["record"].tolist(), test["logit"].tolist(), strict=True))
    fakes = practice.select("test", label=schema.FAKE)
    partners = practice.pristine_of(fakes)
    above = [score[str(f)] > score[str(g)] for f, g in zip(fakes, partners, strict=True)]
    assert script.above_own(test).value == pytest.approx(np.mean(above))
    assert script.above_own(test.take(test["label"] == schema.REAL)).value is None


def test_a_finished_run_is_read_and_not_repeated(script, practice, practice_dir, tables, tmp_path):
    words = ["--workdir", tmp_path, "--data_dir", practice_dir, "--data=practice_faces"]
    flags = script._flags(list(map(str, words)))
    started = []

    def train(*arguments):
        (workdir,) = (Path(w.partition("=")[2]) for w in arguments if w.startswith("--workdir="))
        (workdir / "scores").mkdir(parents=True)
        tables_of_run = tables(lambda c, rows: table.sigmoid(noise(c, rows)))
        for split, made in zip(("test", "probe"), tables_of_run, strict=True):
            for column in table.COLUMNS:
                made.columns.setdefault(column, np.zeros(len(made), int))
            name = table.file_name(practice.name, split)
            table.write_csv(workdir / "scores" / name, made)
        (workdir / "summary.json").write_text(json.dumps({"train": {"seconds": 12.6}}))
        started.extend(arguments[:2])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(script.child, "run_whole", train)
        first, again = (script._trained("donor", "iid", 2, practice.name, flags) for _ in range(2))
    assert started == [
        "--config=configs/quickstart.py:method=iid,seed=2,data=practice_faces,"
        "gap=donor,people=80,donors=10",
        "--config.data.methods=affine_swap,poisson_swap",
    ]
    assert first == again and (first.what, first.seed, first.seconds) == ("iid", "2", "13")


def test_table_has_a_line_for_each_row_and_the_spread_over_seeds(script):
    rows = [
        script.Row("donor", "iid", str(s), dict.fromkeys(script.COLUMNS, Metric(v, 0.1, 0.9)))
        for s, v in enumerate((0.5, 0.7))
    ]
    missing = dict.fromkeys(script.COLUMNS, Metric(None, reason="no pairs"))
    lines = script._markdown([*rows, script.Row("none", "iid", "0", missing)]).splitlines()
    assert len(lines) == 2 + 3 + 1
    assert all(line.count("|") == lines[0].count("|") for line in lines)
    assert "0.500 (0.100 to 0.900)" in lines[2] and "undefined: no pairs" in lines[4]
    assert "mean, spread | 0.600 ± 0.141" in lines[5]


def test_untrained_network_and_best_statistic_have_their_rows(script, practice):
    flags = argparse.Namespace(
        data="practice_faces", trained=list(TRAINED), people=80, donors=10, steps=0, seeds=[0]
    )
    untrained = script._untrained("donor", practice, flags)
    best = script._best_statistic("donor", practice, flags)
    assert set(untrained.values) == set(best.values) == set(script.COLUMNS)
    assert all(best.values[column].value >= 0.5 for column in script.COLUMNS)
    assert best.values["new people"].value > 0.6 and "blur" in best.what


def test_runs_are_also_measured_at_their_last_step(script, practice, run_dir, tmp_path):
    """The last by number, not by name, and whatever validation preferred."""
    flags = argparse.Namespace(trained=list(TRAINED), workdir=tmp_path, steps=2)
    kept = script._workdir(practice.name, "iid", 0, flags) / "checkpoints"
    kept.mkdir(parents=True)
    for name in ("2", "notes"):
        (kept / name).mkdir()
    (kept / "10").symlink_to(run_dir / "checkpoints" / "3")
    tables = script._last("iid", 0, practice, flags)
    ends = {"binary": [tables], "iid": [tables]}
    values = script.measure(*tables, practice, TRAINED)
    assert all(value.value is not None for value in values.values())
    assert script._difference(ends, practice, flags).value == 0.0
