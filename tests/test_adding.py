"""docs/adding.md, followed to the letter in a copy of the repository: what it promises is so."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
TEXT = (REPOSITORY / "docs" / "adding.md").read_text(encoding="utf-8")
FILES = re.findall(r"`([\w./]+)`:\n\n```\w+\n(.*?)^```", TEXT, re.M | re.S)
PREPARE = re.findall(r"^    python (-m iid_jax\.main prepare .*)$", TEXT, re.M)
CHANGES = re.findall(r"^```diff\n(.*?)^```", TEXT, re.M | re.S)
COPIED = ("iid_jax", "configs", "datasets", "tests", "pyproject.toml", "docs")
# What each recipe gives, seen from a process of its own: all that importing it takes.
SEEN = """
import json, sys
import numpy as np
from iid_jax import config_file, models
from iid_jax.data import builder
from iid_jax.data.samples import OUTCOMES
from iid_jax.forgery import generator
assert sys.modules["iid_jax"].__file__.startswith(sys.argv[1]), sys.modules["iid_jax"].__file__
config = config_file.load("quickstart.py", {"data.forgery": "swap,recompress"})
made = generator.create("recompress", config.data)
rng = np.random.default_rng(0)
picture = rng.integers(0, 256, (112, 112, 3), np.uint8)
fake = made(picture, None, rng.uniform(20, 90, (68, 2)), rng)
inside = np.abs(fake.image.astype(int) - picture)[fake.mask > 0.9].mean()
print(json.dumps({
    "backbones": models.names(), "builders": builder.builder_names(), "outcomes": OUTCOMES,
    "inside": inside, "forgery": config.data.forgery,
}))
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    """A copy of the repository with every file and change of the text in it."""
    root = tmp_path_factory.mktemp("adding")
    ignored = shutil.ignore_patterns("__pycache__", ".cache")
    for name in COPIED:
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, root / name, ignore=ignored)
        else:
            shutil.copy(source, root / name)
    for name, content in FILES:
        path = root / name
        assert not path.exists(), f"{name} is said to be new"
        path.parent.mkdir(exist_ok=True)
        path.write_text(content, encoding="utf-8")
    for change in CHANGES:
        command = ["git", "apply", "-C1", "-"]
        done = subprocess.run(command, cwd=root, input=change, capture_output=True, text=True)
        assert done.returncode == 0, f"the change does not fit any more: {done.stderr}"
    return root


def run(copy: Path, *words, ends: int = 0, **more: str) -> str:
    """Runs Python in the copy, which comes before the installed package; returns its output."""
    path = os.pathsep.join([str(copy), str(copy / "tests")])
    environment = {**os.environ, "PYTHONPATH": path, **more}
    command = [sys.executable, *map(str, words)]
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True)
    assert done.returncode == ends, done.stdout + done.stderr
    return done.stdout


def test_the_text_has_its_files():
    names = [name for name, _ in FILES]
    assert names == [
        "iid_jax/models/plain.py",
        "datasets/corridor/corridor_dataset_builder.py",
        "datasets/corridor/README.md",
        "datasets/corridor/CITATIONS.bib",
        "iid_jax/forgery/recompress.py",
    ]
    assert len(CHANGES) == 1


def test_a_backbone_a_data_set_and_a_generator_are_found_by_their_names(copy):
    seen = json.loads(run(copy, "-c", SEEN, copy))
    assert "plain" in seen["backbones"] and "corridor" in seen["builders"]
    assert seen["forgery"] == ["swap", "recompress"] and "recompress" in seen["outcomes"]
    assert seen["inside"] > 2.0


def test_what_is_added_keeps_the_house_s_rules(copy):
    new = [name for name, _ in FILES if name.endswith(".py")]
    changed = re.findall(r"^\+\+\+ b/(\S+)", CHANGES[0], re.M)
    run(copy, "-m", "ruff", "check", "--quiet", *new, *changed)
    run(copy, "-m", "ruff", "format", "--check", "--quiet", *new, *changed)


@pytest.mark.long
def test_the_tests_that_all_of_a_kind_have_pass(copy):
    options = ["-q", "-p", "no:xdist", "-p", "no:cacheprovider"]
    run(copy, "-m", "pytest", *options, "tests/models/test_backbones.py", "-k", "plain")
    run(copy, "-m", "pytest", *options, "tests/forgery/test_generator.py", "-k", "recompress")


@pytest.mark.long
def test_the_data_set_is_prepared_with_its_pairs(copy, studio, tmp_path):
    made = studio(tmp_path / "corridor")
    for person in ("alice", "bob", "mallory"):
        made.real(f"real/{person}_01.mp4", person)
    made.fake("fake/alice_bob_01.mp4", "alice", "bob")
    made.fake("fake/mallory_bob_01.mp4", "mallory", "bob")
    made.text("fake/notes.txt", "no clip")
    prepare, check = PREPARE
    words = prepare.replace("--source=DIR", f"--source={made.folder}").split()
    run(copy, *words, "--frames=4", "--landmarker=drawn_videos:find", "--quiet")
    # These three people are not divided well: one of them is a donor on both sides.
    assert re.search(
        r"people in both train and test +0 +1 \(bob\)", run(copy, *check.split(), ends=3)
    )
    code = (
        "import iid_jax, json\n"
        "print(json.dumps([[r.video_id, r.label, r.pristine_id, r.source_identity, r.frame]"
        " for s in ('train', 'test') for r in iid_jax.data.load('corridor', s, 'data')]))\n"
    )
    records = json.loads(run(copy, "-c", code))
    fakes = [record for record in records if record[1] == 1]
    assert {tuple(r[:4]) for r in fakes} == {
        ("swap/alice_bob_01", 1, "original/alice_01", "bob"),
        ("swap/mallory_bob_01", 1, "original/mallory_01", "bob"),
    }
    taken = {video: {r[4] for r in records if r[0] == video} for video, *_ in records}
    assert taken["swap/alice_bob_01"] == taken["original/alice_01"] and len(records) == 20


@pytest.mark.long
def test_backbone_and_generator_train(copy, practice_dir):
    words = ["-m", "iid_jax.main", "--config=configs/quickstart.py", "--workdir=run", "--quiet"]
    words += [f"--config.train.{key}=2" for key in ("steps", "eval_every", "checkpoint_every")]
    words += ["--config.train.batch_size=8", "--config.eval.val_frames=8"]
    words += ["--config.eval.bootstrap=20", "--config.model.backbone=plain"]
    words += ["--config.data.forgery=swap,recompress", f"--data_dir={practice_dir}"]
    run(copy, *words)
    logged = [json.loads(line) for line in (copy / "run/metrics.jsonl").read_text().splitlines()]
    assert max(line.get("share_recompress", 0) for line in logged) > 0
