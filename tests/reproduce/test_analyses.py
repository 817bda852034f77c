"""Tables whose numbers come from `analyze`: one analysis a seed, resumed, read back."""

import dataclasses
import os
import re
import shutil
from pathlib import Path

import pytest

from iid_jax import analyze, reproduce
from iid_jax.errors import DataError
from iid_jax.evaluation import analyses, arms, chain, protocols
from iid_jax.evaluation.declared import Analysis, Cell, Row, Table

HOME = "practice_faces/default"


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
def calls(runner, write_results, monkeypatch):
    """The commands that were run, each of which writes what it is expected to."""
    calls, trained = [], runner([])

    def call(*command):
        calls.append(list(command))
        if command[0] != "analyze":
            return trained(*command)
        folder = Path(next(w for w in command if w.startswith("--out=")).partition("=")[2])
        seed = folder.parent.name[-1]
        values = (f"binary-{seed}", 0.25), (f"iid-{seed}", 0.5), ("pixels", 0.125)
        write_results(folder, [(name, f"{HOME}:train", value) for name, value in values])
        return 0

    monkeypatch.setattr(reproduce.child, "run", call)
    return calls


def test_runs_of_a_seed_are_analyzed_in_one_go_and_resumed(run, probed, tmp_path, calls, capsys):
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


def test_analyses_of_runs_that_are_gone_or_newer_are_made_again(
    run, probed, tmp_path, calls, capsys
):
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


def test_damaged_results_are_named(write_summary, write_results, probed, tmp_path):
    row = probed.rows[0]
    for training in analyses.together(probed, row):
        config = analyses.config_of(training, tmp_path)
        write_summary(chain.run_folder(tmp_path, training), [], config=config)
    folder = analyses.folder(probed, row, row.cells[0], tmp_path)
    write_results(folder, [])
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


@pytest.mark.long
def test_a_probe_of_runs_trained_for_it(run, tmp_path, practice_dir, monkeypatch, capsys):
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
