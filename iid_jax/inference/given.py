"""Landmarks that are passed and not searched for: checked, and read from a JSON file."""

import json
import os
from pathlib import Path

import numpy as np

from iid_jax.errors import UsageError

MAX_BYTES = 256_000_000
_LAYOUT = "a JSON object of path: 68 points [x, y], or a list of such faces"


def check(landmarks: object, name: str = "landmarks") -> np.ndarray:
    """Returns landmarks (68, 2) or (F, 68, 2), in iBUG order, as (F, 68, 2) float32.

    Raises:
      UsageError: anything else; `name` stands in the message.
    """
    try:
        points = np.asarray(landmarks, np.float32)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{name} must be numbers, (68, 2) or (F, 68, 2): {error}") from error
    points = points[None] if points.ndim == 2 else points
    if points.ndim != 3 or points.shape[1:] != (68, 2) or not np.isfinite(points).all():
        raise UsageError(
            f"{name} must be finite, (68, 2) or (F, 68, 2) in iBUG order, got {points.shape}"
        )
    return points


class Given:
    """The landmarks of some files, by path; paths are relative to the working directory."""

    def __init__(self, landmarks: dict[str, np.ndarray] | None = None):
        self._known = {os.path.abspath(path): p for path, p in (landmarks or {}).items()}

    @classmethod
    def read(cls, path: Path) -> "Given":
        """Returns the landmarks in a JSON file.

        Raises:
          UsageError: no such file, or of another layout.
        """
        try:
            if path.stat().st_size > MAX_BYTES:
                raise UsageError(f"--landmarks={path}: allowed: up to {MAX_BYTES} bytes")
            stored = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise UsageError(f"--landmarks={path} cannot be read: {error}") from error
        if not isinstance(stored, dict):
            raise UsageError(f"--landmarks={path} must hold {_LAYOUT}")
        return cls({k: check(p, f"--landmarks={path}: those of {k}") for k, p in stored.items()})

    def of(self, path: str) -> np.ndarray | None:
        """Returns the landmarks (F, 68, 2) of a file; None where there are none."""
        return self._known.get(os.path.abspath(path))
