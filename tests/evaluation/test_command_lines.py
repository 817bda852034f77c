"""Commands that stand in results: without this machine's folders, and complete."""

import pytest

from iid_jax.evaluation import command_lines


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("--workdir=/x/y", "--workdir=WORKDIR"),
        ("--data_dir /x/y --quiet", "--data_dir DATA_DIR --quiet"),
        ("--config=/x/configs/a.py:seed=1", "--config=a.py:seed=1"),
        ("--workdir=runs/a --quiet", "--workdir=runs/a --quiet"),
        ("--out='/x/my folder' b", "--out=OUT b"),
        ("--from_scores=/x/a.csv,/x/b.csv", "--from_scores=FROM_SCORES"),
        ("--against=/x/a.csv,runs/b.csv", "--against=AGAINST,runs/b.csv"),
    ],
)
def test_shareable_command_has_no_absolute_path(command, expected):
    assert command_lines.shareable(command) == expected


def test_path_below_the_working_folder_becomes_relative(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert command_lines.shareable(f"--workdir={tmp_path}/runs/a") == "--workdir=runs/a"
    several = f"--from_scores={tmp_path}/a.csv,{tmp_path}/b.csv"
    assert command_lines.shareable(several) == "--from_scores=a.csv,b.csv"
    assert command_lines.portable(tmp_path / "data", "DATA_DIR") == "data"
