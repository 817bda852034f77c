"""What a user gets to read when the input, the disk or the command is wrong: one line, one code."""

import errno
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from iid_jax import config_file, train
from iid_jax.checkpoint import FOLDER
from iid_jax.data.catalog import open_catalog
from iid_jax.errors import DataError
from iid_jax.evaluation import table
from iid_jax.main import main
from iid_jax.models import detector
from iid_jax.models.initial import initialise
from iid_jax.training.checkpoints import Checkpoints

REPOSITORY = Path(__file__).parents[1]
CONFIG = "--config=configs/quickstart.py:method=binary"
TRAIN = "steps=4 batch_size=4 checkpoint_every=1 log_every=1"
SMALL = [*(f"--config.train.{setting}" for setting in TRAIN.split()), "--quiet"]
NAME = "practice_faces"


def tree(folder):
    """Every file below a folder with its content."""
    return {p.relative_to(folder): p.read_bytes() for p in Path(folder).rglob("*") if p.is_file()}


# ------------------------------------------------------------------------------ the command itself
@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["evalute"], "unknown verb 'evalute' (did you mean 'evaluate'?)"),
        (
            ["--confg=configs/quickstart.py"],
            "unknown argument '--confg' (did you mean '--config'?)",
        ),
        ([CONFIG, "--worksir=x"], "did you mean '--workdir'?"),
        (["evaluate", "--chekpoint=x"], "did you mean '--checkpoint'?"),
        (["show", CONFIG, "--ot=x"], "did you mean '--out'?"),
        ([CONFIG, "--seed=one"], "invalid int value: 'one'"),
        ([CONFIG, "--config.train.best_metric=video_auk"], "did you mean 'video_auc'?"),
        ([CONFIG, "--config.data.name=practise_faces"], "did you mean 'practice_faces'?"),
        ([CONFIG, "--config.model.backbone=resnet_smal"], "did you mean 'resnet_small'?"),
    ],
)
def test_wrong_command_ends_with_2_and_the_nearest_name(told, tmp_path, monkeypatch, argv, words):
    monkeypatch.chdir(REPOSITORY)
    workdir = [] if argv[0] in ("evalute", "evaluate", "show") else [f"--workdir={tmp_path}/run"]
    code, line = told(*argv, *workdir)
    assert code == 2 and words in line
    assert not list(tmp_path.iterdir())


def test_a_misspelt_verb_ends_a_real_process_with_2():
    command = [sys.executable, "-m", "iid_jax.main", "trian", CONFIG]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and not done.stdout
    assert done.stderr == "iid_jax: unknown verb 'trian' (did you mean 'train'?)\n"


@pytest.mark.parametrize("argv", [["--help"], ["reproduce", "--table=practice", "--dry_run"]])
def test_output_that_nobody_reads_on_ends_without_a_word(argv):
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "iid_jax.main", *argv]
    done = subprocess.run(
        command, cwd=REPOSITORY, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=120
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_broken_pipe_other_than_that_of_the_output_stays_loud(monkeypatch):
    def broken(arguments):
        raise BrokenPipeError(errno.EPIPE, "a worker's")

    monkeypatch.setattr("iid_jax.main._run", broken)
    with pytest.raises(BrokenPipeError, match="a worker's"):
        main(["show"])


# ----------------------------------------------------------------------------------- the data set
@pytest.mark.parametrize("verb", ["train", "show"])
def test_missing_data_set_ends_with_4_and_the_prepare_command(told, tmp_path, monkeypatch, verb):
    monkeypatch.chdir(REPOSITORY)
    here = {"train": f"--workdir={tmp_path}/run", "show": f"--out={tmp_path}/picture.png"}[verb]
    data = ("--config.data.name=photo_swaps", f"--data_dir={tmp_path}/data")
    code, line = told(verb, CONFIG, *data, here)
    assert code == 4 and "no data set photo_swaps/default" in line
    assert f"prepare --dataset=photo_swaps/default --source=DIR --data_dir={tmp_path}/data" in line
    assert not list(tmp_path.iterdir())


def test_run_refused_before_it_began_leaves_the_workdir_to_the_command_put_right(
    told, tmp_path, monkeypatch
):
    monkeypatch.chdir(REPOSITORY)
    (tmp_path / "mine.txt").write_text("notes")
    refused = (CONFIG, "--config.data.name=photo_swaps", f"--data_dir={tmp_path}/data")
    assert told(*refused, f"--workdir={tmp_path}")[0] == 4
    assert tree(tmp_path) == {Path("mine.txt"): b"notes"}
    train.claim(tmp_path, config_file.load("configs/quickstart.py"))
    assert told(*refused, f"--workdir={tmp_path}")[0] == 2
    assert set(tree(tmp_path)) == {Path("mine.txt"), Path("config.json")}


@pytest.fixture
def data_dir(practice_dir, tmp_path):
    """A copy of the small practice_faces, to be damaged."""
    return shutil.copytree(practice_dir, tmp_path / "data")


def record_file(data_dir, split):
    (path,) = data_dir.glob(f"{NAME}/default/*/*-{split}.array_record*")
    return path


def flip_a_bit_in_every_image(path):
    content = bytearray(path.read_bytes())
    for found in list(re.finditer(b"\xff\xd8\xff", bytes(content))):
        content[found.start() + 1000] ^= 1
    path.write_bytes(content)


def remedy(data_dir):
    return (
        rf"delete {data_dir}/{NAME}/default/\S+ and make it again with \S+ -m iid_jax.main prepare"
    )


@pytest.mark.parametrize("workers", [0, 1])
def test_damaged_image_stops_training_with_4_and_names_the_record(
    told, data_dir, tmp_path, monkeypatch, workers
):
    monkeypatch.chdir(REPOSITORY)
    flip_a_bit_in_every_image(record_file(data_dir, "train"))
    before = tree(data_dir)
    where = (f"--workdir={tmp_path}/run", f"--data_dir={data_dir}")
    code, line = told(CONFIG, *SMALL, *where, f"--config.data.workers={workers}")
    assert code == 4
    assert re.search(rf"record {NAME}/default:\S+#\d+#0 cannot be read", line)
    assert re.search(remedy(data_dir), line)
    assert tree(data_dir) == before


def damage_nothing_but_the_index(folder):
    (folder / "index.npz").unlink()
    flip_a_bit_in_every_image(next(folder.glob("*-val.array_record*")))


def cut_off_records(folder):
    path = next(folder.glob("*-train.array_record*"))
    os.truncate(path, path.stat().st_size // 2)


def remove_records(folder):
    next(folder.glob("*-test.array_record*")).unlink()


def spoil_description(folder):
    (folder / "index.npz").unlink()
    (folder / "dataset_info.json").write_text("{")


@pytest.mark.parametrize(
    "damage", [damage_nothing_but_the_index, cut_off_records, remove_records, spoil_description]
)
def test_damaged_record_files_end_with_4_and_the_remedy(
    told, data_dir, tmp_path, monkeypatch, damage
):
    monkeypatch.chdir(REPOSITORY)
    (folder,) = data_dir.glob(f"{NAME}/default/[0-9]*")
    damage(folder)
    code, line = told(CONFIG, *SMALL, f"--workdir={tmp_path}/run", f"--data_dir={data_dir}")
    assert code == 4 and re.search(remedy(data_dir), line)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", None])
def test_damaged_index_is_derived_again_from_the_records(practice, data_dir, content):
    (path,) = data_dir.glob(f"{NAME}/default/*/index.npz")
    path.write_bytes(path.read_bytes()[:-3000] if content is None else content)
    again = open_catalog(NAME, data_dir)
    assert again.columns.keys() == practice.columns.keys()
    for name, values in practice.columns.items():
        np.testing.assert_array_equal(again.columns[name], values)


@pytest.mark.parametrize("content", ["", "{", "[1]", "7"])
def test_damaged_manifest_is_one_line(data_dir, content):
    (path,) = data_dir.glob(f"{NAME}/default/*/manifest.json")
    path.write_text(content)
    with pytest.raises(DataError, match=r"manifest\.json cannot be read") as caught:
        open_catalog(NAME, data_dir).landmarker  # noqa: B018
    assert re.search(remedy(data_dir), str(caught.value))


# --------------------------------------------------------------------------------- the checkpoint
@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """A workdir as training leaves it, of an untrained plain classifier: steps 1 and 2."""
    workdir = tmp_path_factory.mktemp("trained")
    config = config_file.load("configs/quickstart.py:method=binary", {"eval.bootstrap": "5"})
    train.claim(workdir, config)
    module, spec, _ = detector.build_detector(config.model)
    info = {"config": config.to_dict(), "input_spec": spec.to_dict()}
    with Checkpoints(workdir) as checkpoints:
        for step, metric in ((1, 0.9), (2, 0.8)):
            checkpoints.save(step, initialise(module, spec, seed=step), info, metric)
    return workdir


@pytest.fixture
def workdir(run_folder, tmp_path):
    """A copy of the workdir, to be spoilt."""
    return shutil.copytree(run_folder, tmp_path / "run")


def test_records_that_cannot_be_read_are_listed_and_end_with_3(workdir, data_dir, tmp_path, capsys):
    flip_a_bit_in_every_image(record_file(data_dir, "test"))
    out = tmp_path / "out"
    argv = [f"--checkpoint={workdir}", f"--data_dir={data_dir}", f"--out={out}", "--quiet"]
    before = tree(workdir)
    assert main(["evaluate", *argv]) == 3
    count = len(open_catalog(NAME, data_dir).select("test"))
    assert f"{count} records have no score" in capsys.readouterr().out
    scores = table.read_csv(out / "scores" / f"{NAME}.default.test.csv")
    assert scores.failures() == {"unreadable": count}
    assert tree(workdir) == before


def test_evaluation_of_a_data_set_with_a_damaged_manifest_ends_with_4(told, workdir, data_dir):
    (path,) = data_dir.glob(f"{NAME}/default/*/manifest.json")
    path.write_text("{")
    before = tree(workdir)
    code, line = told("evaluate", f"--checkpoint={workdir}", f"--data_dir={data_dir}", "--quiet")
    assert code == 4 and "manifest.json cannot be read" in line
    after = tree(workdir)
    assert {name: after[name] for name in before} == before


def test_damaged_checkpoint_ends_with_4_and_names_the_file(told, workdir, data_dir):
    path = workdir / FOLDER / "1" / "state" / "manifest.ocdbt"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    before = tree(workdir)
    code, line = told("evaluate", f"--checkpoint={workdir}", f"--data_dir={data_dir}")
    assert code == 4 and f"{path} differs from what was saved; delete the folder" in line
    assert tree(workdir) == before


def test_training_does_not_go_on_from_a_damaged_checkpoint(told, workdir, data_dir, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    path = workdir / FOLDER / "2" / "info" / "metadata"
    path.write_text(path.read_text().replace("quick", "quack") + " ")
    before = tree(workdir)
    settings = (CONFIG, "--config.eval.bootstrap=5", "--quiet")
    code, line = told(*settings, f"--workdir={workdir}", f"--data_dir={data_dir}")
    assert code == 4 and f"{path} differs from what was saved" in line
    assert "the checkpoint before it" in line
    assert tree(workdir) == before


@pytest.mark.parametrize("kind", ["missing", "empty", "file", "other"])
def test_checkpoint_that_is_none_ends_with_4(told, tmp_path, kind):
    path = tmp_path / "here"
    if kind == "file":
        path.write_text("weights")
    elif kind != "missing":
        (path / "photographs").mkdir(parents=True)
    code, line = told("evaluate", f"--checkpoint={path}", f"--data_dir={tmp_path}")
    assert code == 4 and str(path) in line
    expected = "is a file; give a workdir" if kind == "file" else f"train one: .*--workdir={path}"
    assert re.search(expected, line)


def test_workdir_of_another_configuration_ends_with_2_and_stays_as_it_is(
    told, workdir, monkeypatch
):
    monkeypatch.chdir(REPOSITORY)
    before = tree(workdir)
    code, line = told(CONFIG, f"--workdir={workdir}")
    assert code == 2 and "config.eval.bootstrap was 5, now 1000; choose another --workdir" in line
    assert tree(workdir) == before


# ----------------------------------------------------------------- folders that cannot be written
@pytest.mark.parametrize("verb", ["train", "evaluate", "prepare"])
def test_folder_that_cannot_be_made_is_one_line(
    told, workdir, data_dir, tmp_path, monkeypatch, verb
):
    monkeypatch.chdir(REPOSITORY)
    (tmp_path / "file").write_text("mine")
    below = tmp_path / "file" / "folder"
    argv = {
        "train": (CONFIG, f"--workdir={below}", f"--data_dir={data_dir}"),
        "evaluate": (f"--checkpoint={workdir}", f"--data_dir={data_dir}", f"--out={below}"),
        "prepare": (f"--dataset={NAME}", f"--data_dir={below}", "--limit=8", "--jobs=1"),
    }[verb]
    code, line = told(verb, *argv)
    assert code == {"train": 2, "evaluate": 4, "prepare": 4}[verb]
    assert "cannot write" in line and "Not a directory; choose another " in line
    assert (tmp_path / "file").read_text() == "mine"


def test_read_only_workdir_is_one_line(told, tmp_path, monkeypatch):
    """As `mkdir` and `write` answer on a read-only file system; root passes all permissions."""
    monkeypatch.chdir(REPOSITORY)

    def refuse(self, *_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    code, line = told(CONFIG, f"--workdir={tmp_path}/run")
    assert code == 2 and "Read-only file system; choose another one" in line


def test_read_only_data_set_is_read_all_the_same(practice, data_dir, monkeypatch):
    (path,) = data_dir.glob(f"{NAME}/default/*/index.npz")
    path.unlink()

    def refuse(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(np, "savez_compressed", refuse)
    assert len(open_catalog(NAME, data_dir)) == len(practice)
    assert not path.exists()
