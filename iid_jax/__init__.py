"""iid_jax: a detector of manipulated faces that looks at artifacts and not at identities.

    detector = iid_jax.load("runs/quickstart")
    result = detector.predict("photograph.jpg")
    print(result.status, result.score, [face.box for face in result.faces])

Importing it loads neither JAX nor OpenCV; what needs them is imported when it is used.
"""

import importlib
import os
from typing import Any

__version__ = "0.1.0"
__all__ = ["Detector", "__version__", "data", "load"]


def load(checkpoint: str | os.PathLike, landmarker: Any = None) -> Any:
    """Returns the `Detector` at `checkpoint`: a workdir (its best step), a step folder, an export.

    `landmarker` finds the faces: a callable from RGB uint8 (H, W, 3) to faces, largest first, as
    `faces.landmarks.Landmarker`; by default dlib, from the `[faces]` extra, when first needed.

    Raises:
      iid_jax.errors.DataError: there is none, it is damaged, or it does not fit this version.
    """
    return __getattr__("Detector").load(checkpoint, landmarker)


def __getattr__(name: str) -> Any:
    if name == "Detector":
        return importlib.import_module("iid_jax.inference").Detector
    if name == "data":
        return importlib.import_module("iid_jax.data")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
