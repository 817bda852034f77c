"""MediaPipe's face landmarker, with the user's own `.task` file, as 68 landmarks in iBUG order."""

import functools
import hashlib
import importlib.metadata
from pathlib import Path
from typing import Any

import numpy as np

from iid_jax.errors import DataError, UsageError
from iid_jax.faces.landmarks import Face

MOST_FACES = 8
# The mesh points nearest to the 68, in iBUG order; where two are given, the middle between them.
JAW = (127, 234, 93, (132, 58), (58, 172), 136, 150, 176, 152, 400, 379, 365, (397, 288))
JAW += ((288, 361), 323, 454, 356)
BROWS = (70, 63, 105, 66, 107, 336, 296, 334, 293, 300)
NOSE = ((168, 6), (197, 195), 5, 4, 98, 97, 2, 326, 327)
EYES = (33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380)
OUTER_LIPS = (61, 39, 37, 0, 267, 269, 291, 321, 314, 17, 84, 91)
INNER_LIPS = (78, 82, 13, 312, 308, 317, 14, 87)
POINTS = (*JAW, *BROWS, *NOSE, *EYES, *OUTER_LIPS, *INNER_LIPS)
_PAIRS = np.array([point if isinstance(point, tuple) else (point, point) for point in POINTS])


class MeshLandmarker:
    """Finds up to eight faces with MediaPipe Tasks; `path` is a face landmarker's `.task` file.

    Its detector gives no score of its own for a face that it returns: the score is 1.

    Raises:
      UsageError: MediaPipe is not installed, or there is no such file. DataError: a damaged file.
    """

    def __init__(self, path: str | Path):
        self._path = Path(path)
        if not self._path.is_file():
            raise UsageError(f"--landmarker={path}: no such file")
        self._mediapipe = _import_mediapipe()
        vision, options = self._mediapipe.tasks.vision, self._mediapipe.tasks.BaseOptions
        settings = vision.FaceLandmarkerOptions(
            base_options=options(model_asset_path=str(self._path)), num_faces=MOST_FACES
        )
        try:
            self._landmarker = vision.FaceLandmarker.create_from_options(settings)
        except (RuntimeError, ValueError, OSError) as error:
            said = str(error).splitlines()[0]
            raise DataError(f"{path} is no face landmarker of MediaPipe: {said}") from error

    @functools.cached_property
    def fingerprint(self) -> str:
        """`mediapipe-<version>/<first 16 hex digits of the sha256 over the task file>`."""
        digest = hashlib.sha256(self._path.read_bytes() + f"{MOST_FACES} {POINTS}".encode())
        version = importlib.metadata.version("mediapipe")
        return f"mediapipe-{version}/{digest.hexdigest()[:16]}"

    def __call__(self, image: np.ndarray) -> list[Face]:
        """Returns the faces in an RGB uint8 (H, W, 3) picture, the largest first."""
        mediapipe = self._mediapipe
        picture = mediapipe.Image(
            image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(image)
        )
        size = (image.shape[1], image.shape[0])
        found = self._landmarker.detect(picture).face_landmarks
        faces = [_face(to_68(np.array([(p.x, p.y) for p in mesh]), size)) for mesh in found]
        return sorted(faces, key=lambda face: -float(np.prod(face.box[2:] - face.box[:2])))


def to_68(mesh: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Returns (68, 2) float32 in pixels of the mesh's points (468 or more, 2) in 0..1.

    `size` is (width, height). Raises ValueError for fewer points.
    """
    if len(mesh) < 468:
        raise ValueError(f"a face mesh has 468 points or more, got {len(mesh)}")
    # MediaPipe's 0..1 span the picture's edges; pixel centres lie half a pixel inside.
    return (mesh[_PAIRS].mean(axis=1) * size - 0.5).astype(np.float32)


def _face(points: np.ndarray) -> Face:
    return Face(np.concatenate([points.min(axis=0), points.max(axis=0)]), points, 1.0)


def _import_mediapipe() -> Any:
    try:
        import mediapipe
    except ModuleNotFoundError as error:
        raise UsageError(
            "a .task file needs mediapipe, which is not installed; pip install mediapipe"
        ) from error
    return mediapipe
