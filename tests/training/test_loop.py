"""The loop: what a run leaves behind, and how it ends."""

import dataclasses
import json
import os
import signal

import pytest

from iid_jax.checkpoint import FOLDER, load_detector
from iid_jax.errors import DataError
from iid_jax.seal import sealed_steps
from iid_jax.training import loop
from iid_jax.training.checkpoints import Checkpoints
from iid_jax.training.feed import Feed
from iid_jax.training.preemption import Preempted


def _config(tiny, rate=1e-3, **train):
    """The plain classifier: it compiles fastest."""
    config = tiny.tiny_config(**train)
    return dataclasses.replace(
        config,
        model=dataclasses.replace(config.model, adm=False),
        optim=dataclasses.replace(config.optim, learning_rate=rate, schedule="constant"),
    )


@pytest.fixture(scope="module")
def run(tiny, practice, tmp_path_factory):
    """(workdir, what `train` returned) of a run that looks at steps 2, 4 and 5."""
    workdir = tmp_path_factory.mktemp("loop")
    config = _config(tiny, steps=5, log_every=2, eval_every=2, checkpoint_every=50, keep=1)
    return workdir, config, loop.train(config, workdir, practice, quiet=True)


def _lines(workdir):
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def test_run_tells_steps_images_and_seconds(run):
    stats = run[2]
    assert set(stats) == {"steps", "images", "seconds", "compile_seconds"}
    assert (stats["steps"], stats["images"]) == (5, 20)
    assert stats["seconds"] > 0 and stats["compile_seconds"] > 0


def test_log_has_losses_rate_and_what_became_of_the_pairs(run):
    lines = [line for line in _lines(run[0]) if "loss" in line]
    assert [line["step"] for line in lines] == [2, 4, 5]
    shares = sum(value for name, value in lines[0].items() if name.startswith("share_"))
    assert shares == pytest.approx(1.0)
    assert lines[0]["share_genuine"] == 0.5
    assert lines[0]["learning_rate"] == pytest.approx(1e-3)
    assert {"loss_cls", "grad_norm"} <= set(lines[0])


def test_held_out_people_are_looked_at_when_due_and_at_the_end(run):
    looks = [line for line in _lines(run[0]) if "val_video_auc" in line]
    assert [line["step"] for line in looks] == [2, 4, 5]
    assert all(0 <= line["val_frame_auc"] <= 1 for line in looks)


def test_last_and_best_step_are_kept_and_the_best_is_loaded(run):
    workdir = run[0]
    looks = {x["step"]: x["val_video_auc"] for x in _lines(workdir) if "val_video_auc" in x}
    best = max(looks, key=lambda step: (looks[step], step))
    assert set(sealed_steps(workdir / FOLDER)) == {5, best}
    assert load_detector(workdir).step == best
    assert load_detector(workdir).landmarker == "drawn/1"


def test_finished_run_is_not_trained_again(run, practice, monkeypatch):
    workdir, config, stats = run
    before = _lines(workdir)
    monkeypatch.setattr(Feed, "__next__", None)
    assert loop.train(config, workdir, practice, quiet=True) == stats
    assert _lines(workdir) == before


def test_loss_that_is_not_finite_ends_the_run_and_earlier_steps_remain(tiny, practice, tmp_path):
    config = _config(tiny, rate=1e38, steps=5, log_every=1, eval_every=5, checkpoint_every=1)
    with pytest.raises(DataError, match=r"is (nan|inf) at step 2, the state of step 1 remains"):
        loop.train(config, tmp_path, practice, quiet=True)
    assert sealed_steps(tmp_path / FOLDER) == [1]


def test_state_that_is_not_finite_is_not_saved_between_two_log_lines(tiny, practice, tmp_path):
    config = _config(tiny, rate=1e38, steps=50, log_every=50, eval_every=50, checkpoint_every=3)
    with pytest.raises(DataError, match=r"at step 3, nothing was saved before"):
        loop.train(config, tmp_path, practice, quiet=True)
    assert sealed_steps(tmp_path / FOLDER) == []


def test_sigterm_during_the_last_step_is_honoured_too(tiny, practice, tmp_path, monkeypatch):
    config = _config(tiny, steps=2, log_every=1, eval_every=2, checkpoint_every=2)
    take = Feed.__next__
    taken = []

    def told(self):
        taken.append(take(self))
        if len(taken) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return taken[-1]

    monkeypatch.setattr(Feed, "__next__", told)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Preempted, match="saved at step 2") as caught:
        loop.train(config, tmp_path, practice, quiet=True)
    assert caught.value.exit_code == 143
    assert sealed_steps(tmp_path / FOLDER) == [2]
    assert signal.getsignal(signal.SIGTERM) is before


def test_checkpoint_holds_config_input_and_metric(run):
    workdir, config, stats = run
    with Checkpoints(workdir) as checkpoints:
        last = checkpoints.steps()[-1]
    info = json.loads((workdir / FOLDER / str(last) / "info" / "metadata").read_text())
    assert info["config"] == config.to_dict()
    assert info["input_spec"]["size"] == 96
    assert info["landmarker"] == "drawn/1"
    assert info["spent"]["seconds"] == stats["seconds"]
    assert info["step"] == last and 0 <= info["metric"] <= 1
