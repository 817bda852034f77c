"""The verb `reproduce`: plans, what is missing, resuming, and tables read from summaries."""

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from iid_jax import analyze, config_file, main, reproduce
from iid_jax.errors import DataError
from iid_jax.evaluation import analyses, arms, chain, outcome, protocols
from iid_jax.evaluation import summary as summaries
from iid_jax.evaluation.declared import Analysis, Cell, Row, Table, Training
from iid_jax.evaluation.table import COLUMNS
from iid_jax.flags import split_overrides

HOME = "practice_faces/default"


def run(*argv):
    return main.main(["reproduce", *(str(word) for word in argv)])


def summary(folder, rows, steps=10, config=None):
    """Writes a summary whose results are (method, metric, value, data, split) rows."""
    keys = ("method", "metric", "value", "data", "split")
    results = [
        {**dict(zip(keys, row, strict=True)), "lo": None, "hi": None, "n_videos": 4, "reason": ""}
        for row in rows
    ]
    folder.mkdir(parents=True, exist_ok=True)
    made = {"results": results, "train": {"steps": steps}}
    made["config_sha256"] = config and summaries.config_sha256(config)
    (folder / "summary.json").write_text(json.dumps(made), encoding="utf-8")


@pytest.fixture
def small(monkeypatch):
    """A table of two arms on practice_faces."""

    def row(arm, seed):
        config = f"configs/quickstart.py:method={arm},seed={seed}"
        training = Training(f"small/{arm}-{seed}", config, HOME, seed=seed)
        cells = (
            Cell("seen", HOME, method="seen"),
            Cell("unseen", HOME, method="hard"),
            Cell("other", "photo_swaps/default"),
        )
        published = {"seen": 0.9} if arm == "iid" else {}
        return Row(arm, training, cells, published, "a book", "" if arm == "binary" else "binary")

    rows = tuple(row(arm, seed) for arm in ("binary", "iid") for seed in range(2))
    table = Table("small", "A small table", rows)
    monkeypatch.setitem(protocols._TABLES, "small", lambda form, data: table)
    return table


def test_dry_run_tells_the_commands_and_how_to_get_what_is_missing(tmp_path, capsys):
    assert run("--table=sota", f"--data_dir={tmp_path}", "--dry_run") == 0
    told = capsys.readouterr().out
    assert "blocked  python -m iid_jax.main --config=configs/paper.py:" in told
    assert "prepare --dataset=faceforensics/c23 --source=DIR" in told
    assert "datasets/celeb_df/README.md says how to get it" in told
    assert "| Ours, resnet34, *published* |" in told and "0.9115" in told
    assert list(tmp_path.iterdir()) == []


def test_practice_needs_only_the_other_data_set_to_be_prepared(tmp_path, capsys):
    arguments = (f"--workdir={tmp_path}", f"--data_dir={tmp_path}", "--dry_run", "--form=quick")
    assert run("--table=practice", *arguments) == 0
    told = capsys.readouterr().out
    assert "to run   python -m iid_jax.main --config=configs/quickstart.py:method=binary" in told
    assert "missing: photo_swaps/default is not under" in told


def test_network_that_this_version_cannot_start_from_is_told(tmp_path):
    training = Training("x", "configs/quickstart.py", HOME, ("--config.model.nothing=1",))
    table = Table("x", "x", (Row("x", training, (Cell("a", HOME),)),))
    (step,) = chain.plan(table, tmp_path, tmp_path)
    assert "config.model.nothing" in step.blocked


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--table=stoa"], "did you mean 'sota'"),
        (["--table=practice", "--form=fast"], "allowed: full, quick, short"),
        (["--table=probe", "--data=celeb_df/v2"], "faceforensics/c23"),
        (["--table=practice", "--data=faceforensics/c23"], "allowed: photo_swaps, practice_faces"),
        (["--table=sota", "--config.seed=1"], "--config.seed"),
        (["--table=practice", "--weights=w"], "--weights=w: practice trains networks of our own"),
        (["--table=sota", "--rows=Ours, resnet43"], "names no row of sota; --dry_run"),
        (["--table=probe", "--rows=*"], "measures its rows together"),
        (["--table=sota", "--form=quick"], "--form=quick goes with practice"),
        (["--table=dfdc", "--data=photo_swaps"], "leave it out of dfdc"),
        ([], "--table"),
    ],
)
def test_wrong_usage_ends_with_2(flags, message, capsys):
    assert run(*flags) == 2
    assert message in capsys.readouterr().err


def runner(calls, code=0, stop_at=None):
    """Stands in for child.run: notes the command and writes its summary."""

    def call(*command):
        calls.append(list(command))
        if stop_at is not None and len(calls) == stop_at:
            return 143
        words = dict(w.split("=", 1) for w in command if w.startswith("--") and "=" in w)
        folder = words.get("--out") or words["--workdir"]
        if code == 0:
            rows = [(m, "video_auc", v, HOME, "test") for m, v in (("easy", 0.9), ("hard", 0.6))]
            overrides, _ = split_overrides(list(command))
            config = config_file.load(words["--config"], overrides) if "--config" in words else None
            summary(Path(folder), rows, config=config)
        return code

    return call


def test_run_stopped_goes_on_where_it_was_and_ends_with_3_for_missing_data(
    small, tmp_path, monkeypatch, capsys
):
    arguments = ("--table=small", f"--workdir={tmp_path / 'w'}", f"--data_dir={tmp_path}")
    calls = []
    monkeypatch.setattr(reproduce.child, "run", runner(calls, stop_at=3))
    assert run(*arguments) == 143
    monkeypatch.setattr(reproduce.child, "run", runner(calls))
    assert run(*arguments) == 3
    # Four trainings, one of them twice; photo_swaps is not prepared.
    assert len(calls) == 5 and calls[2] == calls[3]
    told = capsys.readouterr().out
    assert "missing: photo_swaps/default" in told
    assert "| iid | 2 of 2 | 10 | 0.900 ± 0.000 | 0.600 ± 0.000 | - |" in told
    assert "| iid, *published* |  |  | 0.9000 |  |  |" in told
    stored = json.loads((tmp_path / "w" / "small.json").read_text(encoding="utf-8"))
    assert stored["rows"][0]["cells"]["unseen"]["value"] == 0.6
    assert (tmp_path / "w" / "small.md").exists()


def test_chosen_rows_alone_are_run_and_the_table_keeps_the_others(
    small, tmp_path, monkeypatch, capsys
):
    calls = []
    monkeypatch.setattr(reproduce.child, "run", runner(calls))
    arguments = ("--table=small", f"--workdir={tmp_path / 'w'}", f"--data_dir={tmp_path}")
    run(*arguments, "--rows=i?d")
    assert len(calls) == 2 and all("method=iid" in call[0] for call in calls)
    told = capsys.readouterr().out
    assert "| iid | 2 of 2 |" in told
    assert "| binary | 0 of 2 |" in told


def test_steps_that_fail_are_told_and_the_others_go_on(small, tmp_path, monkeypatch, capsys):
    calls = []
    monkeypatch.setattr(reproduce.child, "run", runner(calls, code=4))
    arguments = ("--table=small", f"--workdir={tmp_path / 'w'}", f"--data_dir={tmp_path}")
    (tmp_path / "w").mkdir()
    assert run(*arguments) == 4
    assert len(calls) == 4
    assert "ended with 4; going on" in capsys.readouterr().err


@pytest.mark.parametrize("code", [-2, -15, 130, 143])
def test_a_step_that_was_asked_to_stop_stops_the_others(code, small, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(reproduce.child, "run", runner(calls, code))
    assert run("--table=small", f"--workdir={tmp_path}", f"--data_dir={tmp_path}") == 143
    assert len(calls) == 1


@pytest.mark.parametrize("code", [-9, -11, 137])
def test_a_step_that_was_killed_or_crashed_does_not_stop_the_others(
    code, small, tmp_path, monkeypatch, capsys
):
    calls = []
    monkeypatch.setattr(reproduce.child, "run", runner(calls, code))
    assert run("--table=small", f"--workdir={tmp_path}", f"--data_dir={tmp_path}") == 4
    assert len(calls) == 4
    assert f"ended with {code}; going on" in capsys.readouterr().err


def test_an_evaluation_older_than_its_run_is_made_again(small, tmp_path):
    row = small.rows[0]
    other = next(cell for cell in row.cells if cell.title == "other")
    where = chain.summary_folder(tmp_path, row, other)
    training, evaluation = chain.plan(dataclasses.replace(small, rows=(row,)), tmp_path, tmp_path)
    hard = [("hard", "video_auc", 0.9, HOME, "test")]
    summary(training.produces.parent, hard, config=training.config)
    summary(where, [("all", "video_auc", 0.6, other.data, "test")])
    assert evaluation.done() and outcome._number(small, row, other, tmp_path)["value"] == 0.6
    os.utime(where / "summary.json", (1, 1))
    assert training.done() and not evaluation.done()
    assert outcome._number(small, row, other, tmp_path) is None


def test_a_run_of_another_configuration_is_not_the_row_s(small, tmp_path):
    row = small.rows[0]
    training, *_ = chain.plan(dataclasses.replace(small, rows=(row,)), tmp_path, tmp_path)
    folder = training.produces.parent
    results = [("hard", "video_auc", 0.9, HOME, "test")]
    other = dataclasses.replace(training.config, seed=7)
    summary(folder, results, config=other)
    assert not training.done() and outcome._number(small, row, row.cells[0], tmp_path) is None
    summary(folder, results, config=training.config)
    assert training.done()


def test_a_detector_is_not_done_that_started_from_another_run(tmp_path):
    start = Training("x/start", "configs/quickstart.py", HOME)
    training = Training("x/next", "configs/quickstart.py", HOME, start=start)
    moved = dataclasses.replace(training, start=dataclasses.replace(start, name="y/start"))
    folder = chain.run_folder(tmp_path, training)
    summary(folder, [], config=analyses.config_of(training, tmp_path))
    assert analyses.trained(tmp_path, training) and not analyses.trained(tmp_path, moved)


def test_first_table_without_any_data_says_what_is_missing(tmp_path, capsys):
    workdir = tmp_path / "w"
    assert run("--table=dfdc", f"--workdir={workdir}", f"--data_dir={tmp_path}") == 4
    assert "missing: dfdc/default is not under" in capsys.readouterr().out
    assert (workdir / "dfdc.md").exists()
    (tmp_path / "file").touch()
    assert run("--table=dfdc", f"--workdir={tmp_path / 'file' / 'w'}") == 2
    assert "choose another one" in capsys.readouterr().err


def scores(folder, fakes):
    """Writes test scores of 40 videos, half of them fakes of `hard` whose scores are `fakes`."""
    lines = [",".join(COLUMNS)]
    for number in range(20):
        level = 0.02 * number
        for method, label, score in (("original", 0, 0.3 + level), ("hard", 1, fakes + level)):
            video = f"{method}/v{number}"
            start = f"{HOME}:{video}#0#0,{HOME},test,{video},0,0,{method},p{number},,{label}"
            lines.append(f"{start},{score},0,ok")
    folder.mkdir(parents=True)
    text = "\n".join(lines) + "\n"
    (folder / "practice_faces.default.test.csv").write_text(text, encoding="utf-8")


def test_arms_are_set_beside_their_baseline_of_the_same_seed(small, tmp_path):
    for row in small.rows:
        folder = chain.run_folder(tmp_path, row.training)
        config = analyses.config_of(row.training, tmp_path)
        summary(folder, [("hard", "video_auc", 0.5, HOME, "test")], config=config)
        scores(folder / "scores", 0.35 if row.label == "binary" else 0.60)
    told = "\n".join(outcome.markdown(small, tmp_path))
    # Of 400 pairs 247 are in order for the one, 385 and five ties for the other.
    assert "iid against binary, hard: +0.351" in told
    assert "over 2 seeds: inconclusive" in told
    for row in small.rows[:2]:
        (chain.run_folder(tmp_path, row.training) / "summary.json").unlink()
    assert "against" not in "\n".join(outcome.markdown(small, tmp_path))


def test_half_width_is_that_of_the_records_and_students_of_the_seeds():
    judged = outcome._judged
    assert judged([(0.1, 0.01), (0.1, 0.01)]) == "+0.100 ± 0.010 over 2 seeds: an effect"
    # With a standard deviation of 0.01 over seeds: 4.303 * 0.01 / sqrt(3), and 0.01 beside it.
    assert judged([(d, 0.01) for d in (0.1, 0.11, 0.12)]) == (
        "+0.110 ± 0.027 over 3 seeds: an effect"
    )
    assert "no effect seen" in judged([(d, 0.01) for d in (0.01, 0.02, 0.03)])
    assert "no effect seen" in judged([(0.0, 0.0)] * 3)
    # 1.96 in place of 12.7 would make an effect of these two, ± 0.022.
    assert judged([(0.1, 0.01), (0.12, 0.01)]) == "+0.110 ± 0.127 over 2 seeds: inconclusive"


def test_verdict_of_one_seed_says_that_it_is_of_that_seed_alone():
    assert outcome._judged([(0.1, 0.01)]) == (
        "+0.100 ± 0.010 in one seed: an effect in it; others were not tried"
    )
    assert "no effect seen in it" in outcome._judged([(0.005, 0.01)])
    assert "inconclusive in it" in outcome._judged([(0.1, 0.04)])


def test_steps_are_told_with_the_best_look_and_whether_it_still_rose(small, tmp_path):
    folder = chain.run_folder(tmp_path, small.rows[0].training)
    summary(folder, [], steps=30)
    looks = [(10, 0.7), (20, 0.8), (30, 0.82)]
    lines = [json.dumps({"step": s, "val_video_auc": v}) for s, v in looks]
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert outcome._plateau(small.rows[0], tmp_path) == "30 (30, still rising)"
    lines[2] = json.dumps({"step": 30, "val_video_auc": 0.79})
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert outcome._plateau(small.rows[0], tmp_path) == "30 (20)"
    lines[2] = json.dumps({"step": 30, "val_video_auc": 0.8})
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert outcome._plateau(small.rows[0], tmp_path) == "30 (30)"


def results(folder, rows, measurement="probe"):
    """Writes a results.json whose numbers are (detector, data, value) rows."""
    keys = ("detector", "data", "value")
    fixed = {"method": "all", "metric": "top1", "lo": None, "hi": None, "n": 4, "reason": ""}
    stored = [{**dict(zip(keys, row, strict=True)), **fixed} for row in rows]
    folder.mkdir(parents=True, exist_ok=True)
    made = {"schema": 1, "measurements": {measurement: {"results": stored}}}
    (folder / "results.json").write_text(json.dumps(made), encoding="utf-8")


@pytest.fixture
def probed(small, monkeypatch):
    """The small table's runs, probed on two data sets, one of which is not prepared."""
    data = (f"{HOME}:train", "photo_swaps/default:test")
    cells = (
        Cell("home", HOME, "train", metric="top1", detector="RUN"),
        Cell("pixels", HOME, "train", metric="top1", detector="pixels"),
        Cell("other", "photo_swaps/default", metric="top1", detector="RUN"),
    )
    rows = tuple(Row(row.label, row.training, cells) for row in small.rows)
    table = Table("probed", "Probed", rows, Analysis("probe", "x/probed", data, ("--people=3",)))
    monkeypatch.setitem(protocols._TABLES, "probed", lambda form, data: table)
    return table


@pytest.fixture
def calls(monkeypatch):
    """The commands that were run, each of which writes what it is expected to."""
    calls, trained = [], runner([])

    def call(*command):
        calls.append(list(command))
        if command[0] != "analyze":
            return trained(*command)
        folder = Path(next(w for w in command if w.startswith("--out=")).partition("=")[2])
        seed = folder.parent.name[-1]
        values = (f"binary-{seed}", 0.25), (f"iid-{seed}", 0.5), ("pixels", 0.125)
        results(folder, [(name, f"{HOME}:train", value) for name, value in values])
        return 0

    monkeypatch.setattr(reproduce.child, "run", call)
    return calls


def test_runs_of_a_seed_are_analyzed_in_one_go_and_resumed(probed, tmp_path, calls, capsys):
    arguments = ("--table=probed", f"--workdir={tmp_path / 'w'}", f"--data_dir={tmp_path}")
    assert run(*arguments) == 3  # photo_swaps is not there
    told = capsys.readouterr().out
    assert "missing: photo_swaps/default is not under" in told
    assert "| binary | 2 of 2 | 10 | 0.250 ± 0.000 | 0.125 ± 0.000 | - |" in told
    assert "| iid | 2 of 2 | 10 | 0.500 ± 0.000 | 0.125 ± 0.000 | - |" in told
    analyzed = [call for call in calls if call[0] == "analyze"]
    assert len(calls) == 6 and len(analyzed) == 2
    first = dict(word.lstrip("-").split("=", 1) for word in analyzed[0][2:])
    assert analyzed[0][1] == "probe" and first["data"] == f"{HOME}:train" and first["people"] == "3"
    assert first["checkpoint"].endswith("binary-0") and first["against"].endswith("iid-0")
    assert run(*arguments) == 3 and len(calls) == 6


def test_analyses_of_runs_that_are_gone_or_newer_are_made_again(probed, tmp_path, calls, capsys):
    arguments = ("--table=probed", f"--workdir={tmp_path / 'w'}", f"--data_dir={tmp_path}")
    first, second = (row for row in probed.rows if row.label == "iid")
    at = analyses.folder(probed, first, first.cells[0], tmp_path / "w") / "results.json"
    run(*arguments)
    for path in (tmp_path / "w").rglob("*"):
        os.utime(path, (10, 10))  # Nothing is older than anything.
    run(*arguments)
    assert len(calls) == 6
    os.utime(at, (9, 9))
    capsys.readouterr()
    run(*arguments, "--dry_run")
    assert "| iid | 2 of 2 | 10 | 0.500 | 0.125 | - |" in capsys.readouterr().out
    run(*arguments)
    assert [call[0] for call in calls[6:]] == ["analyze"] and "seed-0" in " ".join(calls[6])
    shutil.rmtree(chain.run_folder(tmp_path / "w", second.training))
    assert analyses.number(probed, second, second.cells[0], tmp_path / "w") is None
    run(*arguments)
    assert len(calls) == 9 and calls[8][0] == "analyze" and "seed-1" in " ".join(calls[8])
    assert "| iid | 2 of 2 | 10 | 0.500 ± 0.000 |" in capsys.readouterr().out


def test_damaged_results_are_named(probed, tmp_path):
    row = probed.rows[0]
    for training in analyses.together(probed, row):
        config = analyses.config_of(training, tmp_path)
        summary(chain.run_folder(tmp_path, training), [], config=config)
    folder = analyses.folder(probed, row, row.cells[0], tmp_path)
    results(folder, [])
    assert analyses.number(probed, row, row.cells[0], tmp_path) is None
    (folder / "results.json").write_text("[]", encoding="utf-8")
    with pytest.raises(DataError, match=r"results\.json cannot be read"):
        analyses.number(probed, row, row.cells[0], tmp_path)


def test_analyses_ask_for_what_analyze_knows():
    for name in ("probe", "influence", "tsne", "subsets"):
        for data in (*arms.MADE, protocols.FF):
            table = protocols.table(name, data=data)
            words = {
                analyses.arguments(table, row, cell, Path("w"))
                for row in table.rows
                for cell in row.cells
            }
            for each in words:
                flags = analyze._parser().parse([*each[1:], "--data_dir=d"])
                analyze._check(flags)
                assert name == "subsets" or not flags.config


def test_a_training_that_starts_from_another_run_waits_for_it(tmp_path):
    start = Training("x/start", "configs/quickstart.py", HOME)
    training = Training("x/next", "configs/quickstart.py", HOME, start=start)
    table = Table("x", "x", (Row("x", training, (Cell("a", HOME),)),))
    first, second = chain.plan(table, tmp_path, tmp_path)
    assert f"--config.model.init_from={tmp_path / 'runs' / 'x' / 'start'}" in second.arguments
    assert second.after == (first,) and not first.blocked and not second.blocked


@pytest.mark.long
def test_a_probe_of_runs_trained_for_it(tmp_path, practice_dir, monkeypatch, capsys):
    table = protocols.table("probe", "quick")
    tiny = ("--config.train.batch_size=8", "--config.eval.bootstrap=10")
    rows = [
        dataclasses.replace(
            row,
            training=dataclasses.replace(
                row.training,
                config=re.sub(r"steps=\d+", "steps=2", row.training.config),
                overrides=tiny,
            ),
            cells=tuple(cell for cell in row.cells if "photo_swaps" not in cell.data),
        )
        for row in table.rows
        if row.training.data == HOME
    ]
    table = dataclasses.replace(table, rows=tuple(rows))
    monkeypatch.setitem(protocols._TABLES, "tiny", lambda form, data: table)
    assert run("--table=tiny", f"--workdir={tmp_path}", f"--data_dir={practice_dir}") == 0
    told = capsys.readouterr().out
    line = next(line for line in told.splitlines() if line.startswith("| iid, no gap | 1 of 1"))
    assert line.count("0.") >= 4 and " - " not in line


@pytest.mark.long
def test_a_table_is_made_from_nothing_with_tiny_steps(tmp_path, practice_dir, monkeypatch, capsys):
    row = protocols.table("practice", "quick").rows[0]
    config = row.training.config.replace("steps=900", "steps=2")
    overrides = ("--config.train.batch_size=8", "--config.eval.bootstrap=10")
    training = Training("tiny/binary-0", config, HOME, overrides)
    cells = tuple(cell for cell in row.cells if "photo_swaps" not in cell.data)
    table = Table("tiny", "tiny", (Row("binary", training, cells),))
    monkeypatch.setitem(protocols._TABLES, "tiny", lambda form, data: table)
    assert run("--table=tiny", f"--workdir={tmp_path}", f"--data_dir={practice_dir}") == 0
    assert "| binary | 1 of 1 | 2 (2" in capsys.readouterr().out
    assert (tmp_path / "tiny.md").exists()


def test_help_names_every_table():
    command = [sys.executable, "-m", "iid_jax.main", "reproduce", "--help"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert all(name in told for name in protocols.names())
