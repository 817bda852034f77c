"""The detector as people use it: pictures, videos or aligned canvases in, scores and places out."""

import itertools
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from iid_jax import checkpoint, inference_checkpoint
from iid_jax.data import photographs
from iid_jax.errors import UsageError
from iid_jax.evaluation import summary
from iid_jax.evaluation.localisation import THRESHOLD, counts_as_box
from iid_jax.evaluation.score import Detections, DetectorFunction, detect_all
from iid_jax.evaluation.table import as_stored, sigmoid
from iid_jax.faces import media, video
from iid_jax.faces.landmarks import DlibLandmarker, Landmarker
from iid_jax.faces.landmarks import Face as FoundFace
from iid_jax.inference import alignment, given, sources
from iid_jax.inference.heatmap import Contributions
from iid_jax.inference.prediction import (
    NOT_FINITE,
    UNSURE,
    Artifact,
    Face,
    Frame,
    Prediction,
    of_frames,
)

USUAL_THRESHOLD = 0.5
BATCH = 16
# Frames of a video that are held at a time, and how many a second are looked at.
FRAMES_AT_ONCE, FPS = 8, 5.0

Source = str | os.PathLike | np.ndarray
Seen = Callable[[Frame, np.ndarray], None]


class _Looked(NamedTuple):
    """A picture and the faces found in it; those numbered in `unsure` may be none."""

    index: int
    time: float
    picture: np.ndarray
    faces: Sequence[FoundFace]
    unsure: Collection[int] = ()


class Detector:
    """A trained detector, ready to judge pictures.

    Attributes: `input_spec`, `config` and `step` of the checkpoint; `box_threshold`, the score
    from which an artifact is reported, and `box_threshold_origin`, where that is from.
    """

    def __init__(
        self,
        loaded: checkpoint.Loaded,
        landmarker: Landmarker | None = None,
        box_threshold: float = USUAL_THRESHOLD,
        box_threshold_origin: str = "the usual one",
    ):
        self.input_spec, self.config, self.step = loaded.input_spec, loaded.config, loaded.step
        self.box_threshold, self.box_threshold_origin = box_threshold, box_threshold_origin
        self._landmarker = landmarker
        function = DetectorFunction(loaded.module, loaded.input_spec, loaded.anchors)
        self._detect = function.bind(loaded.variables)
        self._explain = Contributions(loaded.module, loaded.input_spec, loaded.variables)

    @classmethod
    def load(cls, path: str | os.PathLike, landmarker: Landmarker | None = None) -> "Detector":
        """Returns the detector at `path`: see `iid_jax.load`.

        Artifacts are reported from the threshold that the run chose on its validation split, as its
        summary.json tells; from 0.5 where there is none.

        Raises:
          DataError: there is no detector, it is damaged, or it does not fit this version.
        """
        loaded = checkpoint.load_detector(Path(path))
        threshold = _threshold_of_run(Path(path), loaded.config)
        if threshold is None:
            return cls(loaded, landmarker)
        return cls(loaded, landmarker, threshold, "chosen on the run's validation split")

    @property
    def landmarker(self) -> Landmarker:
        """What finds the faces; dlib's is loaded when it is first needed.

        Raises:
          UsageError: the `[faces]` extra is not installed.
        """
        if self._landmarker is None:
            self._landmarker = DlibLandmarker()
        return self._landmarker

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Returns the logits (B, 2) float32 of real and fake, for aligned canvases.

        `images` is RGB uint8 (B, S, S, 3), S as in `input_spec.size`; any other is a ValueError.
        """
        images = np.asarray(images)
        size = self.input_spec.size
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != (size, size, 3):
            raise ValueError(
                f"canvases must be RGB uint8 (B, {size}, {size}, 3), "
                f"got {images.dtype} {images.shape}"
            )
        return self._look_at(images).logits if len(images) else np.zeros((0, 2), np.float32)

    def predict(
        self, source: Source, landmarks: np.ndarray | None = None, fps: float = FPS
    ) -> Prediction:
        """Returns what is said of a picture or a video: a path, or RGB uint8 (H, W, 3).

        `landmarks`, (68, 2) or (F, 68, 2) in iBUG order and pixels of the upright picture, take the
        place of searching for faces. Of a video (by the name's ending) `fps` frames a second are
        looked at. A file that cannot be judged has a status and no score.

        Raises:
          UsageError: landmarks or an array of another kind, landmarks for a video; the `[faces]`
            extra is needed and not installed.
        """
        if not isinstance(source, np.ndarray):
            return self.predict_file(source, landmarks, fps)
        _check_picture(source)
        points = None if landmarks is None else given.check(landmarks)
        return self._picture("", source, points, None)

    def predict_file(
        self,
        path: str | os.PathLike,
        landmarks: np.ndarray | None = None,
        fps: float = FPS,
        seen: Seen | None = None,
    ) -> Prediction:
        """Returns what is said of a file; `seen` is called with each frame and its picture.

        See `predict`.
        """
        name = os.fspath(path)
        points = None if landmarks is None else given.check(landmarks)
        try:
            if not sources.is_video(name):
                return self._picture(name, media.read_image(name), points, seen)
            if points is not None:
                raise UsageError(f"{name}: landmarks can be given for pictures only")
            return self._video(name, check_fps(fps), seen)
        except media.MediaError as error:
            return Prediction(name, error.reason, str(error))

    def _video(self, path: str, fps: float, seen: Seen | None) -> Prediction:
        reader = video.FrameReader(path, video.at_rate(path, fps))
        judged, frames = [], iter(reader)
        while chunk := list(itertools.islice(frames, FRAMES_AT_ONCE)):
            looked = [_Looked(f.index, f.time, f.image, self.landmarker(f.image)) for f in chunk]
            for frame, source in zip(self._frames(looked, padding=False), chunk, strict=True):
                judged.append(frame)
                if seen is not None:
                    seen(frame, source.image)
        if not judged:
            raise media.MediaError("truncated", f"{path}: no frame can be decoded")
        note = reader.summary if reader.lost or reader.errors else ""
        return of_frames(path, tuple(judged), alignment.LEAST, note)

    def _picture(
        self, path: str, picture: np.ndarray, points: np.ndarray | None, seen: Seen | None
    ) -> Prediction:
        if points is None:
            looked = self._find(picture)
        else:
            looked = _Looked(0, 0.0, picture, [_as_face(p) for p in points])
        (frame,) = self._frames([looked], padding=True)
        if seen is not None:
            seen(frame, picture)
        return of_frames(path, (frame,), alignment.LEAST)

    def _find(self, picture: np.ndarray) -> _Looked:
        """Looks for faces as in the photographs that are prepared, doubting the same ones."""
        found = self.landmarker(picture)
        doubts = photographs.landmark_doubts(picture, found, self.landmarker)
        unsure = [number for number, doubt in enumerate(doubts) if doubt > photographs.DOUBT]
        return _Looked(0, 0.0, picture, found, unsure)

    def _frames(self, looked: Sequence[_Looked], padding: bool) -> Iterator[Frame]:
        """Yields the Frame of each, scored together."""
        placed = [self._place(at, padding) for at in looked]
        canvases = [p.image for places in placed for p in places if not isinstance(p, str)]
        rows = iter(zip(*self._look_at(np.array(canvases)), strict=True) if canvases else ())
        for at, places in zip(looked, placed, strict=True):
            size = at.picture.shape[:2]
            faces = [
                Face(_clipped(face.box, size), face.landmarks, status=where)
                if isinstance(where, str)
                else self._face(face, where, next(rows), size, keep=padding)
                for face, where in zip(at.faces, places, strict=True)
            ]
            yield Frame(at.index, at.time, tuple(faces))

    def _place(self, at: _Looked, padding: bool) -> list[alignment.Placed | str]:
        """Each face on the canvas, or the status that says why not."""
        return [
            UNSURE
            if number in at.unsure
            else alignment.place(at.picture, face.landmarks, self.input_spec, padding)
            for number, face in enumerate(at.faces)
        ]

    def _face(
        self, face: FoundFace, where: alignment.Placed, row: Any, size: tuple[int, int], keep: bool
    ) -> Face:
        """The Face of one row of Detections; `keep` keeps the canvas, for the heat map."""
        logits, boxes, box_scores = row
        box = _clipped(face.box, size)
        if not np.isfinite(logits).all():
            return Face(box, face.landmarks, status=NOT_FINITE)
        logit = np.float64(logits[1]) - np.float64(logits[0])
        score, stored = as_stored(np.array([sigmoid(logit), logit])).tolist()
        shown = counts_as_box(box_scores, self.box_threshold)
        on_picture = alignment.on_picture(boxes[shown], where.matrix, self.input_spec.size, size)
        artifacts = tuple(
            Artifact(tuple(place.tolist()), float(f"{chance:.9g}"))
            for place, chance in zip(on_picture, box_scores[shown], strict=True)
            if (place[2:] > place[:2]).all()
        )
        kept = (where.image, where.matrix, self._explain) if keep else ()
        return Face(box, face.landmarks, "ok", score, stored, artifacts, *kept)

    def _look_at(self, images: np.ndarray) -> Detections:
        """The Detections of canvases, in batches of few different sizes: each is compiled once."""
        size = 1
        while size < min(len(images), BATCH):
            size *= 2
        return detect_all(self._detect, images, size)


def check_fps(fps: float) -> float:
    """Returns `fps`, frames a second; a UsageError where it is not above 0 and at most 1000."""
    if not 0 < fps <= 1000:
        raise UsageError(f"fps={fps}: must be above 0 and at most 1000")
    return fps


def _threshold_of_run(path: Path, config: Any) -> float | None:
    """The threshold of boxes in an export, or in the summary of the run of the checkpoint."""
    exported = inference_checkpoint.read(path)
    if exported is not None:
        return inference_checkpoint.read_value(exported, "box_threshold")
    made = summary.of_run(summary.run_folder(path), config)
    if made is None:
        return None
    values = [r["value"] for r in made["results"] if r["metric"] == THRESHOLD]
    return next((float(value) for value in values if value is not None), None)


def _as_face(points: np.ndarray) -> FoundFace:
    return FoundFace(np.concatenate([points.min(axis=0), points.max(axis=0)]), points, 1.0)


def _check_picture(picture: np.ndarray) -> None:
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise UsageError(
            f"a picture must be a path or RGB uint8 (H, W, 3), got {picture.dtype} {picture.shape}"
        )
    if min(picture.shape[:2]) < media.MIN_SIDE:
        raise UsageError(
            f"a picture must have at least {media.MIN_SIDE} pixels a side, got {picture.shape}"
        )


def _clipped(box: np.ndarray, size: tuple[int, int]) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = np.clip(box, 0, (size[1], size[0]) * 2).astype(float).tolist()
    return x0, y0, x1, y1
