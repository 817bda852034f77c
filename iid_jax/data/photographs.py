"""Folders of photographs, `<person>/*.jpg`: who is there, where the face is, and the cut-out of it.

A photograph is examined once (decoded, face found) and described in a few numbers; its cut-out is
read again when it is needed.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from iid_jax import geometry
from iid_jax.data import workers
from iid_jax.data.prepared import Problem
from iid_jax.data.schema import LONGEST_SIDE
from iid_jax.errors import UsageError
from iid_jax.faces import media
from iid_jax.faces.landmarks import Face, Landmarker

Box = tuple[int, int, int, int]

# Padding that a rotation or an alignment left is this dark, JPEG noise included.
DARK = 12
TINY_EYES = 20.0
PROFILE = 0.25
# Landmarks found again on the mirrored picture lie 0.02 eye distances away on average (median over
# LFW); of those beyond this, about one in a hundred, most hang beside the mouth or the jaw.
DOUBT = 0.12
# Of the faces that are nearly as large as the largest, the person's is the nearest to the middle.
NEARLY = 0.6
_SMALL = 256


class Photograph(NamedTuple):
    """One examined photograph. The cut-out is `window` of the upright picture, times `scale`.

    `landmarks` (68, 2) and `tone` (3,) RGB 0..255, the skin's, are those of the cut-out; `sha256`
    is the file's, `faces` how many there are in the picture, `score` the detector's.
    """

    path: str
    sha256: str
    window: Box
    scale: float
    landmarks: np.ndarray
    tone: np.ndarray
    faces: int
    score: float
    quality: str


def people_of(
    source: Path, limit: int | None = None
) -> tuple[dict[str, list[Path]], list[Problem]]:
    """Returns the photographs of every person folder, sorted, and what else lies there.

    `limit` keeps the first so many people.

    Raises:
      UsageError: no folder with a picture in it.
    """
    found: dict[str, list[Path]] = {}
    strays: list[Problem] = []
    for folder in sorted(p for p in source.iterdir() if not p.name.startswith(".")):
        if not folder.is_dir():
            strays.append((folder.name, "stray", "not inside a person's folder"))
            continue
        entries = sorted(p for p in folder.iterdir() if not p.name.startswith("."))
        pictures = [p for p in entries if p.suffix.lower() in media.SUFFIXES]
        if pictures and limit and len(found) >= limit:
            break
        if pictures:
            found[folder.name] = pictures
        others = [p for p in entries if p not in pictures]
        strays += [
            (f"{folder.name}/{p.name}", "stray", "not a picture by its name") for p in others
        ]
    if not found:
        raise UsageError(
            f"no pictures in {source}; the layout is <person>/*.jpg, a folder a person"
        )
    return found, strays


def examine(path: Path, landmarker: Landmarker) -> Photograph | Problem:
    """Returns the photograph of the main face in the file, or (item, status, detail).

    Statuses: no_face, unsure_landmarks (not found again on the mirrored picture), padded_face
    (padding inside the face's box), or a MediaError's reason; of a file that takes its process
    along, `examine_all` tells crashed.
    """
    item = f"{path.parent.name}/{path.name}"
    try:
        picture = media.read_image(path)
    except media.MediaError as error:
        return (item, error.reason, str(error))
    faces = landmarker(picture)
    if not faces:
        return (item, "no_face", "")
    face = main_face(faces, picture.shape[:2])
    (doubt,) = landmark_doubts(picture, [face], landmarker)
    if doubt > DOUBT:
        return (item, "unsure_landmarks", f"{doubt:.2f} eye distances off when mirrored")
    window = cut_window(picture, face.landmarks)
    if window is None:
        return (item, "padded_face", "the picture ends inside the face")
    scale = cut_scale(window)
    landmarks = to_cut(face.landmarks, window, scale)
    return Photograph(
        str(path),
        hashlib.sha256(path.read_bytes()).hexdigest(),
        window,
        scale,
        landmarks,
        skin_tone(cut(picture, window, scale), landmarks),
        len(faces),
        face.score,
        ",".join(_flags(landmarks, len(faces))),
    )


def examine_all(
    paths: Sequence[Path], landmarker: Callable[[], Landmarker], jobs: int = 1
) -> Iterator[Photograph | Problem]:
    """Yields `examine` of every path, in order, with `jobs` processes; the callable is pickled."""
    if jobs <= 1:
        find = landmarker()
        yield from (examine(path, find) for path in paths)
        return
    with workers.Workers(jobs, _start_worker, landmarker) as processes:
        yield from processes.map(_work, paths, _died)


def read_cut(photograph: Photograph) -> np.ndarray:
    """Returns the cut-out, RGB uint8 (H, W, 3), at most 512 px a side."""
    return cut(media.read_image(photograph.path), photograph.window, photograph.scale)


def main_face(faces: Sequence[Face], size: tuple[int, int]) -> Face:
    """Returns the face of the person in question in a picture of `size` (height, width).

    Of those at least 0.6 times as wide as the widest, the one nearest to the middle.
    """
    widths = np.array([face.box[2] - face.box[0] for face in faces])
    middle = np.array([size[1], size[0]]) / 2
    centres = np.array([face.box.reshape(2, 2).mean(axis=0) for face in faces])
    distances = np.linalg.norm(centres - middle, axis=1)
    distances[widths < NEARLY * widths.max()] = np.inf
    return faces[int(distances.argmin())]


def landmark_doubts(
    picture: np.ndarray, faces: Sequence[Face], landmarker: Landmarker
) -> list[float]:
    """Returns how far each face's landmarks lie from those of the mirrored picture, eye distances.

    The mean over the 68 points; infinite where the mirrored face is not found.
    """
    if not faces:
        return []
    mirrored = np.ascontiguousarray(picture[:, ::-1])
    again = [geometry.mirror_landmarks(f.landmarks, picture.shape[1]) for f in landmarker(mirrored)]
    return [_doubt(face.landmarks, again) for face in faces]


def cut_window(picture: np.ndarray, landmarks: np.ndarray) -> Box | None:
    """Returns the part (x0, y0, x1, y1) to be used: the record's crop, free of black padding.

    Padding (black corners of a rotated or aligned picture) is what lies outside the convex hull
    of everything brighter. None where it reaches into the landmarks' box.
    """
    crop = geometry.crop_box(landmarks, picture.shape[:2])
    low = np.floor(landmarks.min(axis=0)).astype(int)
    high = np.ceil(landmarks.max(axis=0)).astype(int) + 1
    face = (*np.maximum(low, crop[:2]).tolist(), *np.minimum(high, crop[2:]).tolist())
    if face[2] <= face[0] or face[3] <= face[1]:
        return None
    return _grow(_padding(picture), face, crop)


def cut_scale(window: Box) -> float:
    """Returns what a cut-out is shrunk by, so that no side is above 512 px."""
    x0, y0, x1, y1 = window
    return min(1.0, LONGEST_SIDE / max(x1 - x0, y1 - y0))


def cut(picture: np.ndarray, window: Box, scale: float) -> np.ndarray:
    """Returns the part `window` of the picture, RGB uint8 (H, W, 3), times `scale`."""
    x0, y0, x1, y1 = window
    part = picture[y0:y1, x0:x1]
    if scale < 1.0:
        size = (max(round((x1 - x0) * scale), 1), max(round((y1 - y0) * scale), 1))
        return cv2.resize(part, size, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(part)


def to_cut(points: np.ndarray, window: Box, scale: float) -> np.ndarray:
    """Returns points (N, 2) of the picture in pixels of the cut-out, float32."""
    return ((points - window[:2] + 0.5) * scale - 0.5).astype(np.float32)


def skin_tone(image: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Returns the median colour (3,) between the eyes' outer corners and the nose's foot."""
    size = (image.shape[1], image.shape[0])
    low = np.clip(landmarks[[36, 31]].min(axis=0), 0, size).astype(int)
    high = np.clip(landmarks[[45, 33]].max(axis=0) + 1, 0, size).astype(int)
    patch = image[low[1] : high[1], low[0] : high[0]].reshape(-1, 3)
    return np.median(patch, axis=0) if patch.size else np.zeros(3)


def _doubt(points: np.ndarray, again: Sequence[np.ndarray]) -> float:
    left, right = geometry.five_points(points)[:2]
    apart = [np.linalg.norm(found - points, axis=1).mean() for found in again]
    return float(min(apart) / max(np.linalg.norm(right - left), 1e-6)) if apart else float("inf")


def _padding(picture: np.ndarray) -> np.ndarray:
    """Where the picture is padded, bool (H, W)."""
    height, width = picture.shape[:2]
    factor = min(1.0, _SMALL / max(height, width))
    size = (max(round(width * factor), 1), max(round(height * factor), 1))
    small = cv2.resize(picture.max(axis=2), size, interpolation=cv2.INTER_NEAREST)
    # Single bright pixels inside padding are JPEG noise.
    content = cv2.morphologyEx((small > DARK).astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3)))
    points = cv2.findNonZero(content)
    if points is None:
        return np.ones((height, width), bool)
    inside = np.zeros_like(content)
    cv2.fillConvexPoly(inside, cv2.convexHull(points), 1)
    # The warp that turned the picture mixed padding into its outermost pixels.
    inside = cv2.erode(inside, np.ones((5, 5), np.uint8))
    return cv2.resize(inside, (width, height), interpolation=cv2.INTER_NEAREST) == 0


def _grow(padding: np.ndarray, start: Box, limit: Box) -> Box | None:
    """The box grown from `start` evenly on all sides until padding or `limit` stops each."""
    x0, y0, x1, y1 = start
    if padding[y0:y1, x0:x1].any():
        return None
    step = max(1, max(limit[2] - limit[0], limit[3] - limit[1]) // _SMALL)
    growing = [True] * 4
    while any(growing):
        for side in range(4):
            if not growing[side]:
                continue
            wider = [x0, y0, x1, y1]
            wider[side] += step if side > 1 else -step
            bound = min if side > 1 else max
            wider[side] = bound(wider[side], limit[side])
            a, b, c, d = wider
            growing[side] = wider != [x0, y0, x1, y1] and not padding[b:d, a:c].any()
            if growing[side]:
                x0, y0, x1, y1 = wider
    return x0, y0, x1, y1


def _flags(landmarks: np.ndarray, faces: int) -> list[str]:
    left, right, nose = geometry.five_points(landmarks)[:3]
    eyes = np.linalg.norm(right - left)
    sideways = np.dot(nose - (left + right) / 2, right - left) / max(eyes, 1e-6) ** 2
    flags = {"tiny": eyes < TINY_EYES, "profile": abs(sideways) > PROFILE, "several": faces > 1}
    return [name for name, raised in flags.items() if raised]


_worker_landmarker: Landmarker | None = None


def _start_worker(landmarker: Callable[[], Landmarker]) -> None:
    global _worker_landmarker
    _worker_landmarker = landmarker()


def _work(path: Path) -> Photograph | Problem:
    return examine(path, _worker_landmarker)


def _died(path: Path) -> Problem:
    return (f"{path.parent.name}/{path.name}", "crashed", workers.DIED)
