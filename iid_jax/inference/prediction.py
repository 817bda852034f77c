"""What is said of a picture or a video: frames, faces in them, artifacts on these.

Boxes are (x0, y0, x1, y1) in pixels of the input, edges at whole numbers; scores are P(fake).
"""

import collections
import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

OK, NO_FACE = "ok", "no_face"
TOO_SMALL, PADDED, OUTSIDE, NOT_FINITE = "too_small", "padded_face", "face_outside", "not_finite"
UNSURE = "unsure_landmarks"
WHY = {
    NO_FACE: "no face was found",
    TOO_SMALL: "the face is too small: its landmarks span fewer than {least:g} pixels",
    PADDED: "the picture ends, or is black, inside the face",
    OUTSIDE: "the landmarks lie outside the picture, or on one point",
    UNSURE: "what was found is not found again on the mirrored picture: it may be no face",
    NOT_FINITE: "the detector's output is not finite",
}


@dataclasses.dataclass(frozen=True)
class Artifact:
    """A place that looks manipulated: the box around it and its score."""

    box: tuple[float, float, float, float]
    score: float


@dataclasses.dataclass(frozen=True, eq=False)
class Face:
    """One face: `score` and `logit` (fake minus real) are None unless the status is ok.

    `artifacts` come best first. `landmarks` (68, 2) float32. `canvas` RGB uint8 (S, S, 3) is what
    the detector saw and `matrix` (3, 3) takes pixels of the input to it; both are None where there
    is no score and on frames of a video.
    """

    box: tuple[float, float, float, float]
    landmarks: np.ndarray
    status: str = OK
    score: float | None = None
    logit: float | None = None
    artifacts: tuple[Artifact, ...] = ()
    canvas: np.ndarray | None = None
    matrix: np.ndarray | None = None
    explain: Callable[[np.ndarray], np.ndarray] | None = dataclasses.field(default=None, repr=False)

    @functools.cached_property
    def heatmap(self) -> np.ndarray | None:
        """What each place adds to the logit, float32 (S, S) on the canvas; None without a canvas.

        Above 0 speaks for fake. See `heatmap.Contributions`; computed when it is asked for.
        """
        if self.canvas is None or self.explain is None:
            return None
        return self.explain(self.canvas)

    def to_dict(self) -> dict[str, Any]:
        """Returns the face as results.json holds it."""
        return {
            "box": _numbers(self.box),
            "score": self.score,
            "status": self.status,
            "artifacts": [{"box": _numbers(a.box), "score": a.score} for a in self.artifacts],
            "landmarks": [_numbers(point) for point in self.landmarks],
        }


@dataclasses.dataclass(frozen=True)
class Frame:
    """A picture, or one frame of a video: its place, seconds since the first, faces, largest first.

    The score is that of the face that looks most manipulated, None without a scored face; the
    status is then that of the largest face, or no_face.
    """

    index: int
    time: float
    faces: tuple[Face, ...]

    @property
    def status(self) -> str:
        """`ok`, or why there is no score."""
        if self.score is not None:
            return OK
        return self.faces[0].status if self.faces else NO_FACE

    @property
    def score(self) -> float | None:
        """The highest score of its faces."""
        return max((f.score for f in self.faces if f.score is not None), default=None)

    def to_dict(self) -> dict[str, Any]:
        """Returns the frame as results.json holds it."""
        return {
            "time": round(self.time, 6),
            "index": self.index,
            "status": self.status,
            "score": self.score,
            "faces": [face.to_dict() for face in self.faces],
        }


@dataclasses.dataclass(frozen=True)
class Prediction:
    """What is said of one picture or video: `status` is ok or why there is no score.

    `error` tells the reason in words, or what was lost although there is a score. `score`: the
    mean over the frames that have one; a picture is one frame.
    """

    path: str
    status: str
    error: str = ""
    frames: tuple[Frame, ...] = ()

    @functools.cached_property
    def score(self) -> float | None:
        """The mean score over the scored frames; None where there is none."""
        scores = [frame.score for frame in self.frames if frame.score is not None]
        return float(f"{np.mean(scores):.9g}") if scores else None

    @property
    def faces(self) -> tuple[Face, ...]:
        """The faces of all frames."""
        return tuple(face for frame in self.frames for face in frame.faces)

    def to_dict(self) -> dict[str, Any]:
        """Returns the entry of results.json."""
        return {
            "path": self.path,
            "status": self.status,
            "error": self.error,
            "score": self.score,
            "frames": [frame.to_dict() for frame in self.frames],
        }


def of_frames(path: str, frames: tuple[Frame, ...], least: float, note: str = "") -> Prediction:
    """Returns the Prediction of looked-at frames; `least` is the smallest face, `note` a loss.

    Without any score the status is that of the first frame with a face, else no_face.
    """
    missing = collections.Counter(frame.status for frame in frames if frame.score is None)
    if len(frames) > missing.total():
        notes = [f"{count} of {len(frames)} frames {name}" for name, count in missing.items()]
        return Prediction(path, OK, "; ".join([*notes, note] if note else notes), frames)
    status = next((frame.status for frame in frames if frame.faces), NO_FACE)
    why = WHY[status].format(least=least)
    if len(frames) > 1:
        why += f", in {len(frames)} frames"
    return Prediction(path, status, f"{why}; {note}" if note else why, frames)


def _numbers(values: Any) -> list[float]:
    return [round(float(value), 2) for value in values]
