"""Faces and their 68 landmarks on photographs: dlib, from the optional `[faces]` extra.

The shape model was trained on iBUG 300-W, whose terms allow research use only.
"""

import functools
import hashlib
import importlib.util
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import cv2
import numpy as np

from iid_jax.errors import DataError, UsageError

INSTALL = "pip install 'iid-jax[faces]'"
MODEL_FILE = "shape_predictor_68_face_landmarks.dat"
# Larger pictures are searched for faces at this size.
LONGEST_SIDE = 1280


class Face(NamedTuple):
    """A found face: box (x0, y0, x1, y1) and landmarks (68, 2) float32, in picture pixels.

    `score` is the detector's margin: above 0, larger is surer.
    """

    box: np.ndarray
    landmarks: np.ndarray
    score: float


class Landmarker(Protocol):
    """What finds faces; the fingerprint tells two of them apart and is stored with a data set."""

    @property
    def fingerprint(self) -> str:
        """The name, version and settings of the landmarker."""

    def __call__(self, image: np.ndarray) -> list[Face]:
        """Returns the faces in an RGB uint8 (H, W, 3) picture, the largest first."""


class DlibLandmarker:
    """dlib's frontal-face detector (HOG) and its 68-point regression trees.

    `upsample` doubles the picture that many times before the search (faces from 80 / 2**upsample
    px); `threshold` is the least detector score.

    Raises:
      UsageError: the `[faces]` extra is not installed.
    """

    def __init__(self, upsample: int = 0, threshold: float = 0.0):
        self.upsample, self.threshold = upsample, threshold
        self._path = model_path()
        self._dlib = _import_dlib()
        self._detector = self._dlib.get_frontal_face_detector()
        self._predictor = self._dlib.shape_predictor(str(self._path))

    @functools.cached_property
    def fingerprint(self) -> str:
        """`dlib-<version>/<first 16 hex digits of the sha256 over model file and settings>`."""
        digest = hashlib.sha256(self._path.read_bytes())
        digest.update(f"hog {self.upsample} {self.threshold} {LONGEST_SIDE}".encode())
        return f"dlib-{self._dlib.__version__}/{digest.hexdigest()[:16]}"

    def __call__(self, image: np.ndarray) -> list[Face]:
        """Returns the faces in an RGB uint8 (H, W, 3) picture, the largest first.

        Pictures of more than 1280 px are searched at that size; landmarks are found at full size.
        """
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(f"an RGB uint8 (H, W, 3) picture, got {image.dtype} {image.shape}")
        scale = min(1.0, LONGEST_SIDE / max(image.shape[:2]))
        small = image
        if scale < 1.0:
            small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        found, scores, _ = self._detector.run(
            np.ascontiguousarray(small), self.upsample, self.threshold
        )
        picture = np.ascontiguousarray(image)
        faces = [
            self._face(picture, rectangle, scale, score)
            for rectangle, score in zip(found, scores, strict=True)
        ]
        return sorted(faces, key=lambda face: -_area(face.box))

    def _face(self, image: np.ndarray, found: Any, scale: float, score: float) -> Face:
        edges = (found.left(), found.top(), found.right(), found.bottom())
        corners = [round(v / scale) for v in edges]
        shape = self._predictor(image, self._dlib.rectangle(*corners))
        points = np.array([(p.x, p.y) for p in shape.parts()], np.float32)
        return Face(np.array(corners, np.float32), points, float(score))


def model_path() -> Path:
    """Returns the file of the 68-point model inside the package that carries it.

    Raises:
      UsageError: the package is not installed. DataError: its file is missing.
    """
    # The package is found but never imported: it needs pkg_resources, which is gone.
    spec = importlib.util.find_spec("face_recognition_models")
    if spec is None or not spec.submodule_search_locations:
        raise _missing("face_recognition_models")
    path = Path(next(iter(spec.submodule_search_locations))) / "models" / MODEL_FILE
    if not path.is_file():
        raise DataError(f"{path} is missing; pip install --force-reinstall face_recognition_models")
    return path


def _import_dlib() -> Any:
    try:
        import dlib
    except ModuleNotFoundError as error:
        raise _missing("dlib") from error
    return dlib


def _missing(package: str) -> UsageError:
    return UsageError(
        f"finding faces in photographs needs {package}, which is not installed; {INSTALL}"
    )


def _area(box: np.ndarray) -> float:
    return float((box[2] - box[0]) * (box[3] - box[1]))
