"""The landmarker named on the command line: what is allowed, and how it is told apart."""

import numpy as np
import pytest

from iid_jax.errors import UsageError
from iid_jax.faces import choice
from iid_jax.faces.landmarks import Face

POINTS = np.arange(136, dtype=np.float32).reshape(68, 2)
PICTURE = np.zeros((200, 200, 3), np.uint8)


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes a module that `--landmarker` can name, and forgets it again."""
    monkeypatch.syspath_prepend(str(tmp_path))
    choice.choose.cache_clear()

    def write(name: str, code: str) -> None:
        (tmp_path / f"{name}.py").write_text("import numpy as np\n" + code)

    yield write
    choice.choose.cache_clear()


def test_a_function_that_returns_landmarks(module):
    module("mine_a", "def find(image):\n    return [np.arange(136).reshape(68, 2)]\n")
    face = choice.choose("mine_a:find")(PICTURE)[0]
    np.testing.assert_array_equal(face.landmarks, POINTS)
    np.testing.assert_array_equal(face.box, [0, 1, 134, 135])
    assert face.score == 1.0 and face.landmarks.dtype == np.float32


def test_a_class_is_made_and_its_fingerprint_kept(module):
    module(
        "mine_b",
        "from iid_jax.faces.landmarks import Face\n"
        "class Finder:\n    fingerprint = 'mine/3'\n"
        "    def __call__(self, image):\n"
        "        return [Face(np.zeros(4), np.zeros((68, 2)), 0.5)]\n",
    )
    find = choice.choose("mine_b:Finder")
    assert find.fingerprint == "mine/3" and isinstance(find(PICTURE)[0], Face)


def test_without_a_fingerprint_the_source_is_one(module):
    code = "def find(image):\n    return []\n"
    prints = []
    for name, text in (("mine_c", code), ("mine_d", code + "# changed\n")):
        module(name, text)
        prints.append(choice.choose(f"{name}:find").fingerprint)
    assert (
        prints[0].startswith("mine_c:find/") and prints[0].split("/")[1] != prints[1].split("/")[1]
    )


@pytest.mark.parametrize("returned", ["np.zeros((5, 2))", "np.full((68, 2), np.nan)"])
def test_what_is_no_face_is_refused(module, returned):
    name = "mine_" + returned[3:7].strip("(").replace(".", "")
    module(name, f"def find(image):\n    return [{returned}]\n")
    with pytest.raises(UsageError, match=r"a face is \(68, 2\) finite numbers"):
        choice.choose(f"{name}:find")(PICTURE)


def test_a_function_that_fails_is_named_with_what_it_said(module):
    module("mine_failing", "def find(image):\n    return [image[9, 9, 9]]\n")
    with pytest.raises(UsageError, match=r"mine_failing:find failed on a picture .* IndexError"):
        choice.choose("mine_failing:find")(PICTURE)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("dlip", "must be dlib"),
        ("dlib:9", "0, 1 or 2"),
        ("no_such_module:find", "no_such_module"),
        ("math:no_such", "no_such"),
        ("math:pi", "must be callable"),
        (":find", "must be dlib"),
        ("gone.task", "no such file"),
    ],
)
def test_an_unknown_landmarker_is_refused(name, words):
    with pytest.raises(UsageError, match=words):
        choice.choose(name)


def test_dlib_is_the_default_and_upsampling_another_landmarker():
    pytest.importorskip("dlib", reason="the [faces] extra is not installed")
    assert choice.choose("dlib").upsample == 0
    assert choice.choose("dlib:1").upsample == 1
