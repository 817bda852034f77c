"""The landmarker that a user names on the command line; never one that a stored file names."""

import functools
import hashlib
import importlib
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from iid_jax.errors import UsageError
from iid_jax.faces.face_mesh import MeshLandmarker
from iid_jax.faces.landmarks import DlibLandmarker, Face, Landmarker

DEFAULT = "dlib"
ALLOWED = "dlib, dlib:1 (finds faces half as large), FILE.task, or MODULE:CALLABLE"


@functools.lru_cache(maxsize=1)
def choose(name: str) -> Landmarker:
    """Returns the landmarker called `name`: dlib[:upsample], FILE.task or MODULE:CALLABLE.

    The callable is given RGB uint8 (H, W, 3) and returns faces, or landmarks (68, 2) of each.

    Raises:
      UsageError: no such landmarker, or one that is not installed.
    """
    first, _, rest = name.partition(":")
    if first == DEFAULT:
        if rest not in ("", "0", "1", "2"):
            raise UsageError(f"--landmarker={name}: dlib's upsampling must be 0, 1 or 2")
        return DlibLandmarker(upsample=int(rest or 0))
    if name.endswith(".task"):
        return MeshLandmarker(name)
    if not first or not rest:
        raise UsageError(f"--landmarker={name}: must be {ALLOWED}")
    return Imported(name, _imported(name, first, rest))


class Imported:
    """A user's callable as a landmarker; its fingerprint is its own or that of its source."""

    def __init__(self, name: str, function: Callable[[np.ndarray], Any]):
        self.name, self._function = name, function

    @functools.cached_property
    def fingerprint(self) -> str:
        """The callable's `fingerprint`, or `<name>/<16 hex digits of its module's sha256>`."""
        own = getattr(self._function, "fingerprint", None)
        if own is not None:
            return str(own)
        try:
            source = inspect.getsource(inspect.getmodule(self._function))
        except (OSError, TypeError) as error:
            raise UsageError(
                f"--landmarker={self.name} has no source file to tell it by; give it an attribute "
                "`fingerprint`"
            ) from error
        return f"{self.name}/{hashlib.sha256(source.encode()).hexdigest()[:16]}"

    def __call__(self, image: np.ndarray) -> list[Face]:
        """Returns the faces in an RGB uint8 (H, W, 3) picture.

        Raises:
          UsageError: the callable failed, or returned something else than faces or landmarks.
        """
        try:
            found = list(self._function(image))
        except Exception as error:  # anything may come out of foreign code
            raise UsageError(
                f"--landmarker={self.name} failed on a picture of {image.shape}: "
                f"{type(error).__name__}: {error}"
            ) from error
        return [self._checked(face) for face in found]

    def _checked(self, face: Any) -> Face:
        if isinstance(face, Face):
            return face
        points = np.asarray(face, np.float32)
        if points.shape != (68, 2) or not np.isfinite(points).all():
            raise UsageError(
                f"--landmarker={self.name} returned an array of shape {points.shape}; a face is "
                "(68, 2) finite numbers"
            )
        return Face(np.concatenate([points.min(axis=0), points.max(axis=0)]), points, 1.0)


def _imported(name: str, module_name: str, path: str) -> Callable[[np.ndarray], Any]:
    try:
        found: Any = importlib.import_module(module_name)
        for part in path.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"--landmarker={name}: {error}; allowed: {ALLOWED}") from error
    if inspect.isclass(found):
        found = found()
    if not callable(found):
        raise UsageError(f"--landmarker={name} is a {type(found).__name__}; it must be callable")
    return found
