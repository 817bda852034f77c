"""The verb `prepare`: what it makes, what it refuses in one line, and being killed half-way."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from iid_jax.data import builder
from iid_jax.data.catalog import open_catalog
from iid_jax.errors import DataError
from iid_jax.main import main


@pytest.fixture
def found(photo_tree, monkeypatch):
    """Faces on the drawn photographs are found without dlib."""
    cls = builder.builder_class("photo_swaps")
    monkeypatch.setattr(cls, "LANDMARKER", staticmethod(lambda: photo_tree.find))
    return photo_tree


def prepare(*arguments) -> int:
    return main(["prepare", "--jobs=1", "--quiet", *map(str, arguments)])


def refusal(capsys, *arguments) -> tuple[int, str]:
    code = prepare(*arguments)
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    return code, err


def snapshot(folder) -> dict[str, int]:
    return {str(p.relative_to(folder)): p.stat().st_mtime_ns for p in folder.rglob("*")}


def test_a_folder_of_people_becomes_a_data_set_with_a_summary(found, tmp_path, capsys):
    arguments = ["--dataset=photo_swaps", f"--source={found.folder}", f"--data_dir={tmp_path}"]
    code = prepare(*arguments)
    out = capsys.readouterr().out.splitlines()
    catalog = open_catalog("photo_swaps", tmp_path)
    test = catalog.select("test", label=0)
    line = next(line.split() for line in out if line.startswith("test") and "original" in line)
    assert line == ["test", "real", "original", str(len(test)), "4", "4"]
    assert sum(int(line.split()[3]) for line in out if line[:5].strip() in
               ("train", "val", "test", "probe")) == len(catalog)  # fmt: skip
    assert out[-1] == str(catalog.directory / "prepare_report.csv")
    refused = catalog.manifest["left_out"]
    assert [line for line in out if line.startswith("left out")] == [
        f"left out: {count} {status}" for status, count in refused.items()
    ]
    assert code == (3 if refused else 0)

    before = snapshot(tmp_path)
    assert prepare(*arguments) == 0
    assert "already prepared" in capsys.readouterr().out
    assert prepare("--dataset=photo_swaps", f"--data_dir={tmp_path}") == 0
    assert snapshot(tmp_path) == before

    for change, words in (
        ("--seed=3", "seed 0, now 3"),
        ("--limit=13", "limit None, now 13"),
        (f"--source={found.folder / 'Person_00'}", "prepared from other files"),
    ):
        code, err = refusal(capsys, *arguments, change)
        assert code == 2 and words in err
    assert snapshot(tmp_path) == before


def test_an_unusable_photograph_ends_in_exit_code_3(found, tmp_path, capsys):
    source = tmp_path / "source"
    shutil.copytree(found.folder, source)
    (source / "Person_00" / "empty.jpg").write_bytes(b"")
    assert prepare("--dataset=photo_swaps", f"--source={source}", f"--data_dir={tmp_path}") == 3
    assert "left out: 1 empty" in capsys.readouterr().out


def test_what_is_only_noted_is_no_failure(tmp_path, monkeypatch, found):
    cls = builder.builder_class("photo_swaps")
    monkeypatch.setattr(cls, "FARTHEST_POSE", 1.0)
    source = tmp_path / "source"
    shutil.copytree(found.folder, source)
    (source / "list.txt").write_text("")
    assert prepare("--dataset=photo_swaps", f"--source={source}", f"--data_dir={tmp_path}") == 0


def test_drawn_faces_need_no_source(tmp_path, capsys):
    code = prepare("--dataset=practice_faces", "--limit=12", f"--data_dir={tmp_path}")
    assert code == 0 and "practice_faces" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--dataset=photo_swap", "--source=."], "did you mean 'photo_swaps'?"),
        (["--dataset=photo_swaps/doner", "--source=."], "unknown configuration 'doner'"),
        (["--dataset=photo_swaps"], "--source=DIR"),
        (["--dataset=photo_swaps", "--source=nowhere"], "--source=nowhere is not a folder"),
        (["--dataset=practice_faces", "--source=."], "leave out --source=."),
        (["--dataset=photo_swaps", "--sorce=."], "did you mean '--source'?"),
        (["--source=."], "--dataset"),
        (["--dataset=photo_swaps", "--source=.", "--limit=0"], "--limit=0"),
        (["--dataset=photo_swaps", "--source=.", "--seed=x"], "--seed"),
        (["--dataset=photo_swaps", "--source=.", "--config.seed=1"], "--config.seed"),
    ],
)
def test_wrong_usage_is_one_line_with_the_remedy(arguments, words, tmp_path, capsys):
    code, err = refusal(capsys, *arguments, f"--data_dir={tmp_path / 'data'}")
    assert code == 2 and words in err
    assert not (tmp_path / "data").exists()


def test_an_empty_source_is_refused_with_the_layout(found, tmp_path, capsys):
    (tmp_path / "source").mkdir()
    where = (f"--source={tmp_path / 'source'}", f"--data_dir={tmp_path / 'data'}")
    code, err = refusal(capsys, "--dataset=photo_swaps", *where)
    assert code == 2 and "<person>/*.jpg" in err
    with pytest.raises(DataError, match="no data set"):
        open_catalog("photo_swaps", tmp_path / "data")


def test_too_few_people_are_refused_with_the_number(found, tmp_path, capsys):
    where = (f"--source={found.folder}", f"--data_dir={tmp_path}", "--limit=5")
    code, err = refusal(capsys, "--dataset=photo_swaps", *where)
    assert code == 2 and "at least 12 people, found 5" in err


@pytest.mark.parametrize("kind", ["file", "read-only"])
def test_a_data_dir_that_cannot_be_written_is_a_data_fault(kind, tmp_path, capsys):
    place = tmp_path / "place"
    if kind == "file":
        place.write_text("")
    else:
        place.mkdir(mode=0o555)
        if os.access(place, os.W_OK):
            pytest.skip("this user may write anywhere")
    code, err = refusal(capsys, "--dataset=practice_faces", "--limit=12", f"--data_dir={place}")
    assert code == 4 and "cannot write" in err and "--data_dir" in err


def test_without_the_faces_extra_the_install_command_is_told(
    photo_tree, tmp_path, capsys, monkeypatch
):
    monkeypatch.setitem(sys.modules, "dlib", None)
    where = (f"--source={photo_tree.folder}", f"--data_dir={tmp_path}")
    code, err = refusal(capsys, "--dataset=photo_swaps", *where)
    assert code == 2 and "pip install 'iid-jax[faces]'" in err


@pytest.mark.parametrize("name", ["photo_swaps", "photo_swaps/donor_p80_d10"])
def test_what_needs_a_source_names_the_command_when_it_is_missing(name, tmp_path):
    with pytest.raises(DataError) as caught:
        builder.ensure(name, tmp_path)
    command = f"prepare --dataset={name} --source=DIR --data_dir={tmp_path}"
    assert str(caught.value).endswith(command)


def test_training_on_photographs_that_are_not_prepared_names_the_command(tmp_path, capsys):
    where = [f"--workdir={tmp_path / 'run'}", f"--data_dir={tmp_path}", "--quiet"]
    code = main(["--config=configs/quickstart.py:data=photo_swaps", *where])
    err = capsys.readouterr().err
    assert code == 4 and err.count("\n") == 1
    assert "prepare --dataset=photo_swaps/default --source=DIR" in err


def test_killed_half_way_it_leaves_nothing_that_counts_and_can_be_called_again(tmp_path, capsys):
    arguments = ["--dataset=practice_faces", "--limit=14"]
    command = [sys.executable, "-m", "iid_jax.main", "prepare", "--jobs=1", "--quiet", *arguments]
    killed = tmp_path / "killed"
    root = killed / "practice_faces" / "default"
    with subprocess.Popen([*command, f"--data_dir={killed}"]) as process:
        deadline = time.monotonic() + 60
        while not list(root.glob("incomplete.*")) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    left = list(root.glob("incomplete.*"))
    assert left and not list(root.glob("[0-9]*"))
    # As it looks when the kill comes after the last file and before the folder is renamed.
    (left[0] / "features.json").write_text("{}")
    with pytest.raises(DataError, match="no data set"):
        open_catalog("practice_faces", killed)
    assert prepare(*arguments, f"--data_dir={killed}") == 0
    assert not list(root.glob("incomplete.*"))
    assert prepare(*arguments, f"--data_dir={tmp_path / 'whole'}") == 0
    again, whole = (open_catalog("practice_faces", d) for d in (killed, tmp_path / "whole"))
    assert again.fingerprint == whole.fingerprint
