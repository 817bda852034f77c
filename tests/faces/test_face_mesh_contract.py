"""What `face_mesh` takes for granted of MediaPipe, asked of MediaPipe itself where it is installed.

Its models may not be redistributed with a test: what a `.task` file finds on a face is not run.
"""

import dataclasses
import inspect
import zipfile

import numpy as np
import pytest

from iid_jax.errors import DataError
from iid_jax.faces import face_mesh

mediapipe = pytest.importorskip(
    "mediapipe", reason="mediapipe is not installed; pip install mediapipe"
)


def bundle(path, *names):
    """A .task file, which is a ZIP, of files that are no models."""
    with zipfile.ZipFile(path, "w") as file:
        for name in names:
            file.writestr(name, b"no model")


def points_of(connections) -> set[int]:
    return {point for c in connections for point in (c.start, c.end)}


@pytest.mark.parametrize("kind", ["empty", "junk", "bundle of nothing", "bundle of no models"])
def test_a_file_that_is_no_face_landmarker_is_told(tmp_path, kind):
    path = tmp_path / "face.task"
    path.write_bytes(b"" if kind == "empty" else b"junk" * 100)
    if kind.startswith("bundle"):
        models = ("face_detector.tflite", "face_landmarks_detector.tflite")
        bundle(path, *([] if "nothing" in kind else models))
    with pytest.raises(DataError, match=r"face\.task is no face landmarker of MediaPipe") as caught:
        face_mesh.MeshLandmarker(path)
    assert "\n" not in str(caught.value)


def test_a_picture_is_taken_as_it_is_given():
    picture = np.arange(36 * 64 * 3).astype(np.uint8).reshape(36, 64, 3)
    taken = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=picture)
    assert (taken.width, taken.height) == (64, 36)
    np.testing.assert_array_equal(taken.numpy_view(), picture)


def test_a_result_has_the_landmarks_of_each_face_in_0_to_1():
    result = mediapipe.tasks.vision.FaceLandmarkerResult
    assert "face_landmarks" in {field.name for field in dataclasses.fields(result)}
    fields = {f.name for f in dataclasses.fields(_landmark())}
    assert {"x", "y"} <= fields
    assert "image" in inspect.signature(mediapipe.tasks.vision.FaceLandmarker.detect).parameters


def test_faces_are_made_of_mediapipes_own_landmarks():
    mesh = np.random.default_rng(0).uniform(0.2, 0.8, (478, 2))
    face = [_landmark()(x=x, y=y, z=0.0) for x, y in mesh]
    points = face_mesh.to_68(np.array([(p.x, p.y) for p in face]), (640, 360))
    np.testing.assert_allclose(points[30], mesh[4] * (640, 360) - 0.5, rtol=1e-6)


def test_the_68_lie_on_the_features_that_mediapipe_names():
    named = mediapipe.tasks.vision.FaceLandmarksConnections
    sides = {"left": slice(22, 27), "right": slice(17, 22)}
    # Of the face's own left and right; iBUG counts from the picture's left.
    for side, where in sides.items():
        brow = points_of(getattr(named, f"FACE_LANDMARKS_{side.upper()}_EYEBROW"))
        assert set(face_mesh._PAIRS[where].ravel().tolist()) <= brow, side
    eyes = {"right": slice(36, 42), "left": slice(42, 48)}
    for side, where in eyes.items():
        eye = points_of(getattr(named, f"FACE_LANDMARKS_{side.upper()}_EYE"))
        assert set(face_mesh._PAIRS[where].ravel().tolist()) <= eye, side
    lips = points_of(named.FACE_LANDMARKS_LIPS)
    assert set(face_mesh._PAIRS[48:68].ravel().tolist()) <= lips
    oval = points_of(named.FACE_LANDMARKS_FACE_OVAL)
    assert set(face_mesh._PAIRS[0:17].ravel().tolist()) <= oval


def _landmark():
    return mediapipe.tasks.components.containers.NormalizedLandmark
