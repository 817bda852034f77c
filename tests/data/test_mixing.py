"""Data sets of two landmarkers: refused, accepted by a flag, or told where landmarks are exact."""

from types import SimpleNamespace

import pytest

from iid_jax.config import Config
from iid_jax.data import mixing
from iid_jax.errors import DataError

DLIB, MESH, DRAWN = "dlib-20/ab", "mediapipe-1/cd", "drawn/1"


def data(landmarker):
    return SimpleNamespace(name="mine/default", landmarker=landmarker)


def test_the_same_landmarker_needs_no_word():
    assert mixing.note(DLIB, data(DLIB)) == ""


@pytest.mark.parametrize(("trained", "met"), [(DLIB, MESH), (MESH, DLIB), (DLIB, "dlib-20/ac")])
def test_another_landmarker_is_refused_by_name_until_it_is_allowed(trained, met):
    with pytest.raises(DataError, match="--allow_other_landmarker") as caught:
        mixing.note(trained, data(met))
    assert all(word in str(caught.value) for word in (trained, met, "mine/default"))
    told = mixing.note(trained, data(met), allowed=True)
    assert trained in told and met in told and "this difference" in told


@pytest.mark.parametrize(("trained", "met"), [(DRAWN, DLIB), (DLIB, DRAWN)])
def test_crossing_to_and_from_drawn_faces_is_told_with_the_reason(trained, met):
    assert "landmarks of drawn faces are exact" in mixing.note(trained, data(met))


@pytest.mark.parametrize(("trained", "met"), [("", DLIB), (DLIB, "")])
def test_what_is_not_known_is_told(trained, met):
    assert "not known" in mixing.note(trained, data(met))


def test_a_detector_that_does_not_tell_is_taken_to_have_its_data_sets(practice, practice_dir):
    silent = SimpleNamespace(config=Config(), landmarker="")
    assert mixing.notes([silent], [practice], practice_dir) == []
    (line,) = mixing.notes([silent, silent], [data(DLIB)], practice_dir)
    assert "drawn/1" in line
    (line,) = mixing.notes([silent], [practice], practice_dir / "nowhere")
    assert "not known" in line
