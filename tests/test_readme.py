"""The README's Python, run as it stands."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

REPOSITORY = Path(__file__).parents[1]
TEXT = (REPOSITORY / "README.md").read_text(encoding="utf-8")


def test_the_python_is_twelve_lines():
    (code,) = re.findall(r"^```python\n(.*?)^```", TEXT, re.M | re.S)
    assert len([line for line in code.splitlines() if line.strip()]) == 12


def test_the_python_runs(run_dir, practice_dir, tmp_path, monkeypatch, capsys):
    pytest.importorskip("dlib", reason="the [faces] extra is not installed")
    from iid_jax.faces import drawn

    (code,) = re.findall(r"^```python\n(.*?)^```", TEXT, re.M | re.S)
    shutil.copytree(run_dir, tmp_path / "runs" / "quickstart")
    (tmp_path / "data").symlink_to(practice_dir)
    rng = np.random.default_rng(0)
    shot = drawn.draw_video(drawn.draw_person(rng), rng, 1)[0]
    Image.fromarray(shot.image).resize((384, 384)).save(tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})
    first, *boxes, last = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"ok 0\.\d+", first) and boxes
    assert re.fullmatch(r"\w+ 0\.\d+", last)


def test_what_it_links_to_is_there():
    links = re.findall(r"\]\(([^):#]+)\)", TEXT)
    assert len(links) >= 5
    assert [link for link in links if not (REPOSITORY / link).exists()] == []


def test_the_two_commands_come_first():
    first = re.search(r"^    (.*)\n    (.*)$", TEXT, re.M)
    assert first[1].startswith("make quickstart") and first[2].startswith("make test")
