"""MediaPipe's mesh as 68 landmarks; MediaPipe itself is played by a stand-in."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from iid_jax import geometry
from iid_jax.errors import DataError, UsageError
from iid_jax.faces import face_mesh

# Mesh points on the face's middle line, from forehead to chin, and pairs of left and right ones.
MIDDLE = (10, 168, 6, 197, 195, 5, 4, 2, 0, 13, 14, 17, 152)
SIDES = {127: 356, 234: 454, 93: 323, 132: 361, 58: 288, 172: 397, 136: 365, 150: 379, 176: 400,
         70: 300, 63: 293, 105: 334, 66: 296, 107: 336, 98: 327, 97: 326, 33: 263, 160: 387,
         158: 385, 133: 362, 153: 380, 144: 373, 61: 291, 39: 269, 37: 267, 91: 321, 84: 314,
         78: 308, 82: 312, 87: 317}  # fmt: skip


def test_the_table_has_a_mirror_image_for_every_landmark():
    mirror = SIDES | {b: a for a, b in SIDES.items()} | {m: m for m in MIDDLE}
    for i, j in enumerate(geometry.MIRROR):
        mirrored = {mirror[int(point)] for point in face_mesh._PAIRS[i]}
        assert mirrored == set(face_mesh._PAIRS[j].tolist()), i


def test_points_are_scaled_to_pixels_and_pairs_halved():
    mesh = np.random.default_rng(0).uniform(0.2, 0.8, (478, 2))
    points = face_mesh.to_68(mesh, (640, 360))
    assert points.shape == (68, 2) and points.dtype == np.float32
    np.testing.assert_allclose(points[30], mesh[4] * (640, 360) - 0.5, rtol=1e-6)
    np.testing.assert_allclose(points[27], (mesh[168] + mesh[6]) / 2 * (640, 360) - 0.5, rtol=1e-6)
    with pytest.raises(ValueError, match="468"):
        face_mesh.to_68(mesh[:400], (640, 360))


@pytest.fixture
def mediapipe(monkeypatch):
    """A stand-in that finds two faces, the smaller first."""
    rng = np.random.default_rng(1)
    meshes = [rng.uniform(0.1, 0.1 + s, (478, 2)) for s in (0.2, 0.6)]
    found = [[SimpleNamespace(x=x, y=y) for x, y in mesh] for mesh in meshes]

    class Landmarker:
        @staticmethod
        def create_from_options(options):
            if b"damaged" in Path(options.base_options.model_asset_path).read_bytes():
                raise RuntimeError("unable to open zip archive")
            return Landmarker()

        def detect(self, picture):
            assert picture.image_format == "srgb" and picture.data.flags["C_CONTIGUOUS"]
            return SimpleNamespace(face_landmarks=found)

    vision = SimpleNamespace(FaceLandmarker=Landmarker, FaceLandmarkerOptions=SimpleNamespace)
    module = SimpleNamespace(
        tasks=SimpleNamespace(vision=vision, BaseOptions=SimpleNamespace),
        Image=SimpleNamespace,
        ImageFormat=SimpleNamespace(SRGB="srgb"),
    )
    monkeypatch.setitem(sys.modules, "mediapipe", module)
    monkeypatch.setattr(face_mesh.importlib.metadata, "version", lambda name: "1.2.2")


def test_faces_come_largest_first(mediapipe, tmp_path):
    (tmp_path / "face.task").write_bytes(b"model")
    find = face_mesh.MeshLandmarker(tmp_path / "face.task")
    faces = find(np.zeros((360, 640, 3), np.uint8)[:, ::-1])
    widths = [face.box[2] - face.box[0] for face in faces]
    assert len(faces) == 2 and widths[0] > 2 * widths[1]


def test_the_fingerprint_is_that_of_the_file(mediapipe, tmp_path):
    prints = []
    for name, content in (("a.task", b"model"), ("b.task", b"model"), ("c.task", b"other")):
        (tmp_path / name).write_bytes(content)
        prints.append(face_mesh.MeshLandmarker(tmp_path / name).fingerprint)
    assert prints[0] == prints[1] != prints[2] and prints[0].startswith("mediapipe-1.2.2/")


def test_what_is_wrong_is_told(mediapipe, tmp_path, monkeypatch):
    with pytest.raises(UsageError, match="no such file"):
        face_mesh.MeshLandmarker(tmp_path / "gone.task")
    (tmp_path / "bad.task").write_bytes(b"damaged")
    with pytest.raises(DataError, match="no face landmarker of MediaPipe"):
        face_mesh.MeshLandmarker(tmp_path / "bad.task")
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    with pytest.raises(UsageError, match="pip install mediapipe"):
        face_mesh.MeshLandmarker(tmp_path / "bad.task")
