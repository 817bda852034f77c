"""From the wheel alone, in an empty environment and another folder: what people begin with."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
SOURCES = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "iid_jax", "configs", "datasets")
PEOPLE = 40


def test_the_command_is_declared():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {"iid-jax": "iid_jax.main:main"}


@pytest.fixture(scope="module")
def away(tmp_path_factory) -> Path:
    """An empty folder to work in, with an environment beside it that holds the built wheel only.

    Its dependencies are those of this environment, put behind it on the path: nothing is fetched.
    """
    root = tmp_path_factory.mktemp("wheel")
    options = ["--no-deps", "--no-build-isolation", "--quiet", "--wheel-dir", str(root)]
    pip = [sys.executable, "-m", "pip"]
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in SOURCES:
        source, copy = REPOSITORY / name, root / "sources" / name
        if source.is_dir():
            shutil.copytree(source, copy, ignore=ignored)
        else:
            copy.parent.mkdir(exist_ok=True)
            shutil.copy(source, copy)
    subprocess.run([*pip, "wheel", *options, str(root / "sources")], check=True, cwd=root)
    subprocess.run([sys.executable, "-m", "venv", root / "venv"], check=True)
    wheel = next(root.glob("*.whl"))
    install = [root / "venv/bin/python", "-m", "pip", "install", "--quiet", "--no-deps", wheel]
    subprocess.run(install, check=True, cwd=root)
    (site,) = (root / "venv" / "lib").glob("python*/site-packages")
    here = Path(pytest.__file__).parents[1]
    (site / "zz_dependencies.pth").write_text(f"{here}\n")
    (root / "work").mkdir()
    return root / "work"


def run(away: Path, *words, code: int = 0) -> str:
    """Runs a program of the new environment in the empty folder; returns what it printed."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    program, *arguments = map(str, words)
    command = [away.parent / "venv" / "bin" / program, *arguments]
    done = subprocess.run(command, cwd=away, env=environment, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    return done.stdout


@pytest.mark.long
def test_what_is_imported_is_the_wheel(away):
    origin = run(away, "python", "-c", "import iid_jax; print(iid_jax.__file__)").strip()
    assert Path(origin).is_relative_to(away.parent / "venv")


@pytest.mark.long
def test_the_command_tells_its_verbs(away):
    told = run(away, "iid-jax", "--help")
    assert told.startswith("usage:") and "predict" in told and "export" in told


@pytest.mark.long
def test_a_package_named_datasets_goes_on_being_that_one(away):
    (away / "datasets").mkdir()
    (away / "datasets" / "__init__.py").write_text("mine = True\n")
    code = "import iid_jax.data.builder as b, datasets; print(datasets.mine, b.builder_names()[0])"
    assert run(away, "python", "-c", code).split()[0] == "True"


@pytest.mark.long
def test_it_prepares_trains_exports_and_predicts(away):
    data = f"--data_dir={away / 'data'}"
    prepare = ("prepare", "--dataset=practice_faces", f"--limit={PEOPLE}", "--quiet")
    run(away, "iid-jax", *prepare, data)
    small = [f"--config.train.{key}=2" for key in ("steps", "eval_every", "checkpoint_every")]
    small += ["--config.train.batch_size=4", "--config.eval.val_frames=8", "--quiet"]
    train = ("--config=quickstart.py", "--workdir=run", data, *small)
    run(away, "iid-jax", *train)
    assert (away / "run" / "report.html").exists()
    run(away, "iid-jax", "export", "--checkpoint=run", "--out=detector", "--quiet", data)
    script = (
        "import iid_jax, numpy as np, json\n"
        "record = iid_jax.data.load('practice_faces', 'test', 'data')[0]\n"
        "detector = iid_jax.load('detector')\n"
        "picture = np.ascontiguousarray(record.pixels())\n"
        "scale = (np.array(record.crop[2:]) - record.crop[:2]) / picture.shape[1::-1]\n"
        "points = (record.landmarks - record.crop[:2]) / scale\n"
        "found = detector.predict(picture, landmarks=points)\n"
        "print(json.dumps([found.status, found.score]))\n"
    )
    status, score = json.loads(run(away, "python", "-c", script))
    assert status == "ok" and 0.0 < score < 1.0
