"""The verb `show`: training samples, or held-out pictures with what a detector says of them."""

import errno
import os
import shutil
from pathlib import Path

import cv2
import pytest

from iid_jax import config_file, main, plots
from iid_jax.data import schema
from iid_jax.evaluation import first_look, summary
from iid_jax.models import detector
from iid_jax.models.initial import initialise
from iid_jax.training.checkpoints import Checkpoints

REPOSITORY = Path(__file__).parents[1]
CONFIG = f"--config={REPOSITORY / 'configs' / 'quickstart.py'}"


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    """A run's checkpoint of an untrained detector, with the summary that training leaves."""
    folder = tmp_path_factory.mktemp("run")
    config = config_file.load(CONFIG.partition("=")[2])
    module, spec, _ = detector.build_detector(config.model)
    info = {"config": config.to_dict(), "input_spec": spec.to_dict()}
    with Checkpoints(folder) as checkpoints:
        checkpoints.save(3, initialise(module, spec, seed=0), info, 0.5)
    (folder / "config.json").write_text("{}", encoding="utf-8")
    summary.write(folder, summary.build("the training command", 0, config, {}, []))
    return folder


def show(*argv):
    return main.main(["show", *(str(word) for word in argv), "--quiet"])


def size(path):
    height, width, _ = cv2.imread(str(path)).shape
    return width, height


@pytest.fixture
def asked(workdir, practice_dir):
    return f"--checkpoint={workdir}", "--data=practice_faces:test", f"--data_dir={practice_dir}"


def test_first_look_is_a_picture_and_a_page_of_the_records_on_it(
    asked, practice, tmp_path, capsys, monkeypatch
):
    drawn = {}
    sheet = plots.pair_sheet
    monkeypatch.setattr(
        plots, "pair_sheet", lambda g, *a, **o: drawn.update(g) or sheet(g, *a, **o)
    )
    assert show(*asked, f"--out={tmp_path}/look.png", "--count=8") == 0
    assert "8 pictures of practice_faces/default, test split" in capsys.readouterr().out
    width, height = size(tmp_path / "look.png")
    assert 1150 <= width <= 1250 and height > 800
    text = (tmp_path / "look.md").read_text(encoding="utf-8")
    assert "trained by `the training command`, step 3" in text
    assert list(drawn) == practice.methods("test") and all(len(g) == 1 for g in drawn.values())
    videos = [line.split("`")[1].partition("#")[0] for line in text.splitlines() if "| `" in line]
    test = practice.select("test", label=schema.REAL)
    assert len(videos) == 4 and set(videos) <= set(practice.columns["video_id"][test])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["look.md", "look.png"]


def test_first_look_can_be_made_again_and_the_seed_chooses(asked, tmp_path):
    made = []
    for seed in (0, 0, 1):
        assert show(*asked, f"--out={tmp_path}/look.png", "--count=4", f"--seed={seed}") == 0
        text = (tmp_path / "look.md").read_text(encoding="utf-8").replace(f"--seed={seed}", "")
        made.append(((tmp_path / "look.png").read_bytes(), text))
    assert made[0] == made[1] and made[0][0] != made[2][0] and made[0][1] != made[2][1]


def test_data_is_by_default_the_test_split_of_what_it_was_trained_on(asked, tmp_path):
    assert show(asked[0], asked[2], f"--out={tmp_path}/look.png", "--count=2") == 0
    text = (tmp_path / "look.md").read_text(encoding="utf-8")
    assert "split `test` of `practice_faces/default`" in text


def test_page_that_somebody_wrote_is_not_overwritten(asked, told, tmp_path):
    (tmp_path / "README.md").write_text("my own words")
    code, line = told("show", *asked, f"--out={tmp_path}/README.png")
    assert code == 4 and "README.md was not made by show and is not overwritten" in line
    assert [p.name for p in tmp_path.iterdir()] == ["README.md"]
    assert (tmp_path / "README.md").read_text() == "my own words"


def test_montage_of_training_samples_needs_no_checkpoint(practice_dir, tmp_path, capsys):
    assert show(CONFIG, f"--data_dir={practice_dir}", f"--out={tmp_path}/m.png", "--count=2") == 0
    assert "2 training samples of practice_faces/default" in capsys.readouterr().out
    width, height = size(tmp_path / "m.png")
    assert width > 2 * height
    assert [p.name for p in tmp_path.iterdir()] == ["m.png"]


LOOK = "--checkpoint=run"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--out=a.png"], "either --config or --checkpoint"),
        ([LOOK, CONFIG, "--out=a.png"], "either --config or --checkpoint"),
        ([LOOK], "--out"),
        ([LOOK, "--out=a.txt"], "its name ending in .png"),
        ([LOOK, "--out=a.png", "--count=0"], "--count=0: must be at least 1"),
        ([CONFIG, "--out=a.png", "--count=-2"], "--count=-2: must be at least 1"),
        ([LOOK, "--out=a.png", "--count=5"], "give an even number"),
        ([LOOK, "--out=a.png", "--count=few"], "invalid int value: 'few'"),
        ([LOOK, "--out=a.png", "--seed=-1"], "--seed=-1: must be at least 0"),
        ([LOOK, "--out=a.png", "--data=a,b"], "a picture shows one data set"),
        ([LOOK, "--out=a.png", "--data=a:"], "is not name[/config][:split]"),
        ([LOOK, "--out=a.png", "--config.seed=1"], "--config.seed: a detector is shown with"),
        ([CONFIG, "--out=a.png", "--data=a"], "--config.data.name=NAME"),
        ([LOOK, "--out=a.png", "--chekpoint=b"], "did you mean '--checkpoint'?"),
    ],
)
def test_wrong_usage_ends_with_2_and_one_line(told, tmp_path, monkeypatch, argv, message):
    monkeypatch.chdir(tmp_path)
    code, line = told("show", *argv)
    assert code == 2 and message in line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["checkpoint", "config"])
def test_missing_folder_is_one_line_before_any_work(told, asked, tmp_path, monkeypatch, kind):
    monkeypatch.setattr(first_look, "look", lambda *_: pytest.fail("worked in vain"))
    argv = asked if kind == "checkpoint" else (CONFIG, asked[2])
    code, line = told("show", *argv, f"--out={tmp_path}/docz/look.png")
    assert code == 4
    assert f"cannot write {tmp_path}/docz/look.png: No such file or directory; choose" in line
    assert not list(tmp_path.iterdir())


def test_read_only_folder_is_one_line(told, asked, tmp_path, monkeypatch):
    """As a read-only file system answers; root passes all permissions."""

    def refuse(self, *_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(self))

    monkeypatch.setattr(Path, "touch", refuse)
    code, line = told("show", *asked, f"--out={tmp_path}/look.png")
    assert code == 4 and "Read-only file system; choose another --out" in line


def test_missing_data_set_ends_with_4_and_the_command_that_makes_it(told, workdir, tmp_path):
    out = f"--out={tmp_path}/look.png"
    code, line = told("show", f"--checkpoint={workdir}", f"--data_dir={tmp_path}/no", out)
    assert code == 4 and "prepare --dataset=practice_faces/default" in line
    assert not list(tmp_path.iterdir())


def test_missing_checkpoint_and_unknown_split_end_with_4(told, asked, tmp_path):
    out = f"--out={tmp_path}/look.png"
    code, line = told("show", f"--checkpoint={tmp_path}/gone", *asked[1:], out)
    assert code == 4 and "no checkpoint" in line
    code, line = told("show", asked[0], "--data=practice_faces:tset", asked[2], out)
    assert code == 4 and "did you mean 'test'?" in line


def test_checkpoint_without_its_run_is_shown_all_the_same(asked, workdir, tmp_path):
    """A step folder taken out of its run knows no training command."""
    step = shutil.copytree(workdir / "checkpoints" / "3", tmp_path / "alone" / "3")
    out = tmp_path / "look.png"
    assert show(f"--checkpoint={step}", *asked[1:], f"--out={out}", "--count=2") == 0
    assert "training unknown, step 3" in out.with_suffix(".md").read_text(encoding="utf-8")
