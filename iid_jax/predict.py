"""`predict`: scores the faces in pictures and videos, and shows where artifacts are."""

import argparse
import collections
from pathlib import Path
from typing import TYPE_CHECKING

from iid_jax.errors import UsageError
from iid_jax.flags import Parser

if TYPE_CHECKING:
    from iid_jax.inference import Detector, Prediction
    from iid_jax.inference.given import Given

FAILED = 3
SHOWN = 20


def main(argv: list[str]) -> int:
    """Writes results.json, results.csv and annotated pictures; 3 where a file has no score."""
    flags = _parser().parse(argv)
    _check(flags)

    from iid_jax.inference import Detector, detector, files, given, sources

    detector.check_fps(flags.fps)
    known = given.Given.read(Path(flags.landmarks)) if flags.landmarks else given.Given()
    landmarker = None
    if flags.landmarker:
        from iid_jax.faces import choice

        landmarker = choice.choose(flags.landmarker)
    judge = Detector.load(flags.checkpoint, landmarker)
    out = Path(flags.out)
    replaced = files.claim(out, flags.overwrite)
    if replaced:
        print(f"{out}: {replaced} files of an earlier predict are replaced")
    predictions: list[Prediction] = []
    try:
        _judge(flags, judge, sources.find(flags.paths), known, predictions)
    finally:
        # Also of work that was interrupted.
        files.write(out, predictions)
    _tell(predictions, out / files.CSV)
    return FAILED if any(p.score is None for p in predictions) else 0


def _parser() -> Parser:
    parser = Parser(
        "predict", "Score the faces in pictures and videos, and show where artifacts are."
    )
    parser.add_argument(
        "paths", nargs="*", metavar="PATH", help="pictures, videos, folders, patterns in quotes"
    )
    parser.add_argument("--checkpoint", help="a workdir (its best step), a step folder, an export")
    parser.add_argument("--out", default="predictions", help="folder for the results")
    parser.add_argument("--fps", type=float, default=5.0, help="frames a second of videos")
    parser.add_argument(
        "--landmarks",
        help="a JSON file of landmarks, {path: 68 points [x, y], or a list of such faces}, in "
        "place of searching; of paths that it does not hold the faces are searched for",
    )
    parser.add_argument(
        "--landmarker",
        help="what finds faces: dlib (default), dlib:1 for faces half as large, a FILE.task of "
        "MediaPipe, or MODULE:CALLABLE",
    )
    parser.add_argument("--no_pictures", action="store_true", help="no annotated pictures")
    parser.add_argument(
        "--overwrite", action="store_true", help="replace the results of an earlier predict"
    )
    parser.add_quiet()
    return parser


def _check(flags: argparse.Namespace) -> None:
    if flags.overrides:
        raise UsageError(
            f"--config.{next(iter(flags.overrides))}: a detector judges with the configuration it "
            "was trained with; leave it out"
        )
    if not flags.checkpoint:
        raise UsageError("predict needs --checkpoint, as in --checkpoint=runs/quickstart")
    if not flags.paths:
        raise UsageError("predict needs a PATH: a picture, a video, a folder or a pattern")


def _judge(
    flags: argparse.Namespace,
    detector: "Detector",
    found: "list[str | Prediction]",
    known: "Given",
    predictions: "list[Prediction]",
) -> None:
    """Adds what is said of every file to `predictions`, and draws it."""
    from iid_jax.inference import drawing, files, sources
    from iid_jax.progress import Progress

    progress = Progress(len(found), "predict", "file", flags.quiet)
    for number, source in enumerate(found, 1):
        if isinstance(source, str):
            drawn = None if flags.no_pictures else drawing.Drawing(sources.is_video(source))
            said = detector.predict_file(source, known.of(source), flags.fps, drawn)
            picture = drawn.png(said) if drawn else None
            if picture is not None:
                files.picture_path(Path(flags.out), number, source).write_bytes(picture)
        else:
            said = source
        predictions.append(said)
        progress.update(1)
    progress.close()


def _tell(predictions: "list[Prediction]", path: Path) -> None:
    """Prints the first results, what could not be scored by reason, and where all of it lies."""
    for said in predictions[:SHOWN]:
        score = "  -  " if said.score is None else f"{said.score:.3f}"
        print(f"{score}  {said.path}{f': {said.error}' if said.error else ''}")
    if len(predictions) > SHOWN:
        print(f"and {len(predictions) - SHOWN} more")
    reasons = collections.Counter(said.status for said in predictions if said.score is None)
    scored = len(predictions) - reasons.total()
    left = "".join(f", {count} {reason}" for reason, count in sorted(reasons.items()))
    print(f"{path}: {scored} of {len(predictions)} scored{left}")
