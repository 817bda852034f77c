"""What single numbers of a picture tell: the baselines that stand beside a detector's AUC.

A number that no network is needed for, such as how blurred the face is, tells some manipulations
from genuine pictures. Measured on the aligned canvas, as a detector sees it.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from iid_jax import metrics
from iid_jax.data import canvas, schema
from iid_jax.data.canvas import CanvasSpec
from iid_jax.data.catalog import Catalog
from iid_jax.errors import DataError
from iid_jax.evaluation import results

FACE_BLUR = "face_blur"
FACE_BLUR_AUC = "face_blur_auc"
# Frames of each video, evenly taken, that a baseline is measured on.
FRAMES = 4
_NOISE_KERNEL = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
_TINY = 1e-3


class Face(NamedTuple):
    """A canvas, RGB float32 (S, S, 3), its grey (S, S), and where face and surroundings are."""

    image: np.ndarray
    grey: np.ndarray
    inside: np.ndarray
    around: np.ndarray


def _sharpness(face: Face, where: np.ndarray) -> float:
    return float(np.log(np.abs(cv2.Laplacian(face.grey, cv2.CV_32F))[where].mean() + _TINY))


def _noise(face: Face) -> float:
    """Immerkaer, Fast Noise Variance Estimation (1996): blind to edges and gradients."""
    return float(
        np.log(np.abs(cv2.filter2D(face.grey, -1, _NOISE_KERNEL))[face.inside].mean() + _TINY)
    )


def _colour_step(face: Face) -> float:
    """How far the face's mean colour is from that of its surroundings."""
    return float(np.abs(face.image[face.inside].mean(0) - face.image[face.around].mean(0)).mean())


# One number of each face; which way it points is not fixed, but for `face_blur`: blurred is more.
STATISTICS: dict[str, Callable[[Face], float]] = {
    FACE_BLUR: lambda face: -_sharpness(face, face.inside),
    "relative_blur": lambda face: _sharpness(face, face.around) - _sharpness(face, face.inside),
    "noise": _noise,
    "brightness": lambda face: float(face.grey[face.inside].mean()),
    "contrast": lambda face: float(face.grey[face.inside].std()),
    "saturation": lambda face: float(np.ptp(face.image[face.inside], axis=1).mean()),
    "redness": lambda face: float((face.image[..., 0] - face.image[..., 1])[face.inside].mean()),
    "colour_step": _colour_step,
}


def measure(
    catalog: Catalog, rows: np.ndarray, spec: CanvasSpec, names: Sequence[str] = tuple(STATISTICS)
) -> dict[str, np.ndarray]:
    """Returns statistics of the catalog's rows, (N,) float64 each; NaN where none can be read."""
    values = np.full((len(rows), len(names)), np.nan)
    for place, row in enumerate(rows):
        try:
            aligned = canvas.align(catalog.read(int(row)), spec)
        except DataError:
            continue
        face = _face(aligned)
        if face is not None:
            values[place] = [STATISTICS[name](face) for name in names]
    return dict(zip(names, values.T, strict=True))


def blur_results(
    catalog: Catalog, split: str, spec: CanvasSpec, bootstrap: int, seed: int
) -> list[results.Result]:
    """Returns the video AUC of the face's blur alone for each manipulation of a split.

    On at most four frames of each video. The detector's own AUC means little where it is no higher.
    """
    rows = some_frames(catalog, catalog.select(split))
    blur = measure(catalog, rows, spec, (FACE_BLUR,))[FACE_BLUR]
    names = ("video_id", "label", "method", "identity")
    columns = {name: catalog.columns[name][rows] for name in names}
    genuine = columns["label"] == schema.REAL
    found = []
    for method in sorted(set(columns["method"][~genuine].tolist())):
        chosen = genuine | (columns["method"] == method)
        video, label, identity = (columns[n][chosen] for n in ("video_id", "label", "identity"))
        given = video, label, blur[chosen], ("video_auc",), bootstrap, seed
        measured = metrics.evaluate_scores(*given, identity=identity)["video_auc"]
        found.append(results.result(catalog.name, split, method, FACE_BLUR_AUC, measured))
    return found


def some_frames(catalog: Catalog, rows: np.ndarray, most: int = FRAMES) -> np.ndarray:
    """Returns at most `most` of the rows of each video, evenly taken, in the order of the rows."""
    rows = rows[np.lexsort((catalog.columns["frame"][rows], catalog.columns["video_id"][rows]))]
    _, starts, counts = np.unique(
        catalog.columns["video_id"][rows], return_index=True, return_counts=True
    )
    taken = [
        start + np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(int))
        for start, count in zip(starts, counts, strict=True)
    ]
    return np.sort(rows[np.concatenate(taken)]) if taken else rows


def _face(aligned: canvas.Canvas) -> Face | None:
    """Face and surroundings of a canvas; None where the face lies outside."""
    side = aligned.image.shape[0]
    hull = cv2.convexHull(aligned.landmarks.astype(np.float32))
    inside = np.zeros((side, side), np.uint8)
    cv2.fillConvexPoly(inside, np.rint(hull).astype(np.int32), 1)
    grown = cv2.dilate(inside, np.ones((side // 4 + 1, side // 4 + 1), np.uint8))
    inner = cv2.erode(inside, np.ones((5, 5), np.uint8)).astype(bool)
    around = (grown - inside).astype(bool)
    if not inner.any() or not around.any():
        return None
    grey = cv2.cvtColor(aligned.image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return Face(aligned.image.astype(np.float32), grey, inner, around)
