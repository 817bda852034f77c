"""The verb `reproduce`: plans, what is missing, resuming, and tables read from summaries."""

import dataclasses
import json
import os
import subprocess
import sys

import pytest

from iid_jax import reproduce
from iid_jax.evaluation import analyses, chain, outcome, protocols
from iid_jax.evaluation.declared import Cell, Row, Table, Training

HOME = "practice_faces/default"


def test_dry_run_tells_the_commands_and_how_to_get_what_is_missing(run, tmp_path, capsys):
    assert run("--table=sota", f"--data_dir={tmp_path}", "--dry_run") == 0
    told = capsys.readouterr().out
    assert "blocked  python -m iid_jax.main --config=configs/paper.py:" in told
    assert "prepare --dataset=faceforensics/c23 --source=DIR" in told
    assert "datasets/celeb_df/README.md says how to get it" in told
    assert "| Ours, resnet34, *published* |" in told and "0.9115" in told
    assert list(tmp_path.iterdir()) == []


def test_practice_needs_only_the_other_data_set_to_be_prepared(run, tmp_path, capsys):
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
def test_wrong_usage_ends_with_2(run, flags, message, capsys):
    assert run(*flags) == 2
    assert message in capsys.readouterr().err


def test_run_stopped_goes_on_where_it_was_and_ends_with_3_for_missing_data(
    run, runner, small, tmp_path, monkeypatch, capsys
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
    run, runner, small, tmp_path, monkeypatch, capsys
):
    calls = []
    monkeypatch.setattr(reproduce.child, "run", runner(calls))
    arguments = ("--table=small", f"--workdir={tmp_path / 'w'}", f"--data_dir={tmp_path}")
    run(*arguments, "--rows=i?d")
    assert len(calls) == 2 and all("method=iid" in call[0] for call in calls)
    told = capsys.readouterr().out
    assert "| iid | 2 of 2 |" in told
    assert "| binary | 0 of 2 |" in told


def test_steps_that_fail_are_told_and_the_others_go_on(
    run, runner, small, tmp_path, monkeypatch, capsys
):
    calls = []
    monkeypatch.setattr(reproduce.child, "run", runner(calls, code=4))
    arguments = ("--table=small", f"--workdir={tmp_path / 'w'}", f"--data_dir={tmp_path}")
    (tmp_path / "w").mkdir()
    assert run(*arguments) == 4
    assert len(calls) == 4
    assert "ended with 4; going on" in capsys.readouterr().err


@pytest.mark.parametrize("code", [-2, -15, 130, 143])
def test_a_step_that_was_asked_to_stop_stops_the_others(
    run, runner, code, small, tmp_path, monkeypatch
):
    calls = []
    monkeypatch.setattr(reproduce.child, "run", runner(calls, code))
    assert run("--table=small", f"--workdir={tmp_path}", f"--data_dir={tmp_path}") == 143
    assert len(calls) == 1


@pytest.mark.parametrize("code", [-9, -11, 137])
def test_a_step_that_was_killed_or_crashed_does_not_stop_the_others(
    run, runner, code, small, tmp_path, monkeypatch, capsys
):
    calls = []
    monkeypatch.setattr(reproduce.child, "run", runner(calls, code))
    assert run("--table=small", f"--workdir={tmp_path}", f"--data_dir={tmp_path}") == 4
    assert len(calls) == 4
    assert f"ended with {code}; going on" in capsys.readouterr().err


def test_an_evaluation_older_than_its_run_is_made_again(write_summary, small, tmp_path):
    row = small.rows[0]
    other = next(cell for cell in row.cells if cell.title == "other")
    where = chain.summary_folder(tmp_path, row, other)
    training, evaluation = chain.plan(dataclasses.replace(small, rows=(row,)), tmp_path, tmp_path)
    hard = [("hard", "video_auc", 0.9, HOME, "test")]
    write_summary(training.produces.parent, hard, config=training.config)
    write_summary(where, [("all", "video_auc", 0.6, other.data, "test")])
    assert evaluation.done() and outcome._number(small, row, other, tmp_path)["value"] == 0.6
    os.utime(where / "summary.json", (1, 1))
    assert training.done() and not evaluation.done()
    assert outcome._number(small, row, other, tmp_path) is None


def test_a_run_of_another_configuration_is_not_the_row_s(write_summary, small, tmp_path):
    row = small.rows[0]
    training, *_ = chain.plan(dataclasses.replace(small, rows=(row,)), tmp_path, tmp_path)
    folder = training.produces.parent
    results = [("hard", "video_auc", 0.9, HOME, "test")]
    other = dataclasses.replace(training.config, seed=7)
    write_summary(folder, results, config=other)
    assert not training.done() and outcome._number(small, row, row.cells[0], tmp_path) is None
    write_summary(folder, results, config=training.config)
    assert training.done()


def test_a_detector_is_not_done_that_started_from_another_run(write_summary, tmp_path):
    start = Training("x/start", "configs/quickstart.py", HOME)
    training = Training("x/next", "configs/quickstart.py", HOME, start=start)
    moved = dataclasses.replace(training, start=dataclasses.replace(start, name="y/start"))
    folder = chain.run_folder(tmp_path, training)
    write_summary(folder, [], config=analyses.config_of(training, tmp_path))
    assert analyses.trained(tmp_path, training) and not analyses.trained(tmp_path, moved)


def test_first_table_without_any_data_says_what_is_missing(run, tmp_path, capsys):
    workdir = tmp_path / "w"
    assert run("--table=dfdc", f"--workdir={workdir}", f"--data_dir={tmp_path}") == 4
    assert "missing: dfdc/default is not under" in capsys.readouterr().out
    assert (workdir / "dfdc.md").exists()
    (tmp_path / "file").touch()
    assert run("--table=dfdc", f"--workdir={tmp_path / 'file' / 'w'}") == 2
    assert "choose another one" in capsys.readouterr().err


def test_a_training_that_starts_from_another_run_waits_for_it(tmp_path):
    start = Training("x/start", "configs/quickstart.py", HOME)
    training = Training("x/next", "configs/quickstart.py", HOME, start=start)
    table = Table("x", "x", (Row("x", training, (Cell("a", HOME),)),))
    first, second = chain.plan(table, tmp_path, tmp_path)
    assert f"--config.model.init_from={tmp_path / 'runs' / 'x' / 'start'}" in second.arguments
    assert second.after == (first,) and not first.blocked and not second.blocked


@pytest.mark.long
def test_a_table_is_made_from_nothing_with_tiny_steps(
    run, tmp_path, practice_dir, monkeypatch, capsys
):
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
