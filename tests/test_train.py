"""The verb `train`: what it refuses before anything is computed, and the whole job."""

import json
import subprocess
import sys

import pytest

from iid_jax import config_file, train
from iid_jax.errors import UsageError
from iid_jax.evaluation import summary
from iid_jax.main import main

CONFIG = "--config=configs/quickstart.py"


def test_workdir_of_the_same_configuration_is_claimed_again(tmp_path):
    config = config_file.from_dict({})
    train.claim(tmp_path / "run", config)
    train.claim(tmp_path / "run", config)
    stored = json.loads((tmp_path / "run" / "config.json").read_text())
    assert stored == config.to_dict()
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["config.json"]


def test_a_run_of_an_earlier_version_goes_on_with_the_defaults_of_newer_keys(tmp_path):
    config = config_file.load("quickstart.py")
    earlier = config.to_dict()
    del earlier["loss"]["min_negatives"], earlier["eval"]
    (tmp_path / "config.json").write_text(json.dumps(earlier))
    train.claim(tmp_path, config)
    with pytest.raises(UsageError, match="min_negatives was 4, now 0"):
        train.claim(tmp_path, config_file.load("quickstart.py", {"loss.min_negatives": "0"}))


def test_a_run_goes_on_with_another_number_of_workers_and_stays_the_same_run(tmp_path):
    config = config_file.load("quickstart.py")
    other = config_file.load("quickstart.py", {"data.workers": "3"})
    train.claim(tmp_path, config)
    train.claim(tmp_path, other)
    assert json.loads((tmp_path / "config.json").read_text())["data"]["workers"] == 3
    assert summary.config_sha256(config) == summary.config_sha256(other)


def test_workdir_of_another_configuration_names_the_key_and_stays_as_it_is(tmp_path, capsys):
    config = config_file.load("configs/quickstart.py")
    train.claim(tmp_path, config)
    before = (tmp_path / "config.json").read_bytes()
    code = main([CONFIG, "--config.optim.learning_rate=0.5", f"--workdir={tmp_path}"])
    err = capsys.readouterr().err
    assert code == 2 and err.count("\n") == 1
    assert f"config.optim.learning_rate was {config.optim.learning_rate}, now 0.5" in err
    assert (tmp_path / "config.json").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("content", ["", "[1, 2]", '"text"', "{"])
def test_config_json_that_is_none_is_not_overwritten(tmp_path, content):
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(UsageError, match="choose another --workdir"):
        train.claim(tmp_path, config_file.from_dict({}))
    assert (tmp_path / "config.json").read_text() == content


def test_workdir_that_cannot_be_written_is_one_line(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    code = main([CONFIG, f"--workdir={tmp_path}/file/run"])
    err = capsys.readouterr().err
    assert code == 2 and err.count("\n") == 1 and "cannot write to --workdir=" in err


def test_unknown_metric_names_the_nearest(tmp_path, capsys):
    code = main([CONFIG, "--config.train.best_metric=vide_auc", f"--workdir={tmp_path}/run"])
    assert code == 2 and "did you mean 'video_auc'?" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_misspelt_key_ends_before_jax_is_loaded(tmp_path):
    program = (
        "import sys; from iid_jax.main import main; code = main(sys.argv[1:]); "
        "sys.exit(code if 'jax' not in sys.modules else 99)"
    )
    arguments = [CONFIG, "--config.train.stesp=5", f"--workdir={tmp_path}/run"]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "did you mean 'steps'?" in done.stderr


@pytest.mark.long
def test_main_job_leaves_the_run_and_can_be_called_again(practice_dir, tmp_path, capsys):
    arguments = [CONFIG, "--config.train.steps=2", "--config.train.batch_size=8", "--quiet"]
    arguments += ["--config.eval.bootstrap=20", "--config.eval.val_frames=16"]
    arguments += [f"--workdir={tmp_path}", f"--data_dir={practice_dir}"]
    assert main(arguments) == 0
    names = {path.name for path in tmp_path.iterdir()}
    expected = {"config.json", "metrics.jsonl", "tensorboard", "checkpoints", "scores"}
    assert names == expected | {"summary.json", "report.html"}
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["train"]["steps"] == 2 and summary["train"]["images"] == 16
    assert summary["train"]["seconds"] > 0 and summary["train"]["compile_seconds"] > 0
    assert {"video_auc", "frame_auc", "leak_auc"} <= {r["metric"] for r in summary["results"]}
    assert "video AUC" in capsys.readouterr().out
    assert main(arguments) == 0
    again = json.loads((tmp_path / "summary.json").read_text())
    assert again["results"] == summary["results"] and again["train"] == summary["train"]


def test_a_second_training_in_the_same_workdir_is_refused(tmp_path):
    refused = pytest.raises(UsageError, match="another process trains there")
    with train.alone(tmp_path), refused, train.alone(tmp_path):
        pass
    with train.alone(tmp_path):
        assert list(tmp_path.iterdir()) == []
