"""The shipped config files of the paper's backbones: each builds, and takes two steps."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import iid_jax
from iid_jax import config_file
from iid_jax.errors import UsageError
from iid_jax.main import main

BACKBONES = {
    "resnet18": "resnet18",
    "resnet34": "resnet34",
    "resnet50": "resnet50",
    "effb3": "efficientnet_b3",
    "effb4": "efficientnet_b4",
    "xception": "xception",
}
# Compiled without optimisation: what is tested is that it goes through.
QUICK = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
TWO_STEPS = """
import sys
from pathlib import Path
from iid_jax import config_file
from iid_jax.data.catalog import open_catalog
from iid_jax.training import loop
name, data_dir, workdir = sys.argv[1:]
small = {"train.batch_size": "2", "model.canvas": "192", "eval.val_frames": "2"}
small |= {"eval.batch_size": "2", "model.adm_width": "16", "train.checkpoint_every": "5"}
config = config_file.load(f"configs/{name}.py:data=practice_faces,steps=2", small)
print(loop.train(config, Path(workdir), open_catalog("practice_faces", data_dir), quiet=True))
"""


@pytest.mark.parametrize("name", BACKBONES)
def test_it_is_the_papers_detector_on_its_backbone(name):
    config = config_file.load(f"configs/{name}.py")
    assert config.model.backbone == BACKBONES[name]
    assert config.model.adm and config.model.adm_width is None
    assert config.data.name == "faceforensics/c23"
    slim = config_file.load(f"configs/{name}.py:method=binary,adm_width=256")
    assert not slim.model.adm and slim.model.adm_width == 256


def test_the_backbone_is_not_an_argument():
    with pytest.raises(UsageError, match="it is resnet18 here"):
        config_file.load("configs/resnet18.py:backbone=resnet34")


def test_without_the_data_set_one_line_says_what_to_prepare(tmp_path, capsys):
    words = ["--config=configs/effb4.py", f"--workdir={tmp_path}/w", f"--data_dir={tmp_path}"]
    assert main(words) == 4
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "prepare --dataset=faceforensics/c23 --source=DIR" in err


# Each compiles for 10 to 40 s on an idle machine.
LONG = set(BACKBONES) - {"resnet18"}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.long) if n in LONG else n for n in BACKBONES]
)
def test_it_takes_two_steps(name, practice_dir, tmp_path):
    root = str(Path(iid_jax.__file__).parents[1])
    environment = {**os.environ, "XLA_FLAGS": QUICK, "PYTHONPATH": root}
    command = [sys.executable, "-c", TWO_STEPS, name, str(practice_dir), str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines if "loss" in json.loads(line)] == [2]
