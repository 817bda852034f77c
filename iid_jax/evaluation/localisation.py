"""Where a detector says the artifact is: found boxes, false boxes, fakes against their partners.

Only the local boxes count, not the whole canvas. Two kinds of truth: on *partial swaps* of
held-out people the window that was swapped is known, as in training; on a data set's own fakes
the truth is the bounding box of the true mask at 0.5, one box even where the area has parts.
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

from iid_jax import box_metrics, geometry
from iid_jax.config import AugmentConfig, DataConfig
from iid_jax.data import schema
from iid_jax.data.canvas import CanvasSpec
from iid_jax.data.catalog import Catalog
from iid_jax.data.sampler import Draw
from iid_jax.data.samples import Sample, SampleMaker
from iid_jax.errors import DataError
from iid_jax.evaluation import results
from iid_jax.evaluation.score import Detections, Scored, detect_all, score
from iid_jax.forgery import masks
from iid_jax.measures import Metric

BOX_RECALL, BOX_PRECISION = "box_recall", "box_precision"
FALSE_BOXES, PAIR_WIN = "false_boxes_per_genuine", "pair_win"
THRESHOLD = "box_threshold"
PARTIAL_SWAP = "partial_swap"
# The aim is at most one false box per genuine picture of new people; the threshold is chosen on
# other people, so it leaves room for the difference.
ALLOWED_FALSE_BOXES = 0.7

_STILL = AugmentConfig(
    scale=(0.9, 0.0),
    shift=0.0,
    rotation=0.0,
    stretch=(1.0, 1.0),
    flip=0.0,
    half_resolution=0.0,
    jpeg=0.0,
    blur=0.0,
    noise=0.0,
    gamma=0.0,
    saturation=0.0,
)

Detect = Callable[[np.ndarray], Detections]


@dataclasses.dataclass(frozen=True)
class Operating:
    """The score from which a box counts, and the data set whose validation split it is from."""

    threshold: float
    data: str


class PartialSwaps(NamedTuple):
    """Partial swaps of held-out people with what a detector says of them and of their partners.

    `samples`; `videos` (N,) of the fakes; `fakes` and `partners`, Detections of N canvases;
    `left_out` counts what could not be swapped, by reason.
    """

    samples: list[Sample]
    videos: np.ndarray
    fakes: Detections
    partners: Detections
    left_out: dict[str, int]


def choose_threshold(
    detect: Detect, catalog: Catalog, spec: CanvasSpec, batch_size: int, quiet: bool = False
) -> Operating | None:
    """Returns the threshold from the genuine validation pictures; None where there are none."""
    rows = catalog.select("val", label=schema.REAL)
    if not len(rows):
        return None
    scored = score(detect, catalog, rows, spec, batch_size, quiet, "score validation")
    readable = scored.box_scores[scored.table.scored]
    return Operating(threshold_of(readable), catalog.name) if len(readable) else None


def threshold_of(box_scores: np.ndarray, allowed: float = ALLOWED_FALSE_BOXES) -> float:
    """Returns the lowest threshold that leaves `allowed` boxes per picture of (N, K) scores.

    A box counts when its score is at or above the threshold; a score of 0 is no box.
    """
    found = np.sort(box_scores[box_scores > 0].astype(np.float32))[::-1]
    budget = int(allowed * len(box_scores))
    if len(found) <= budget:
        return float(found[-1]) if len(found) else 0.5
    return float(np.nextafter(found[budget], np.float32(np.inf)))


def truth_boxes(scored: Scored, catalog: Catalog, size: int) -> np.ndarray:
    """Returns the box (N, 4) of each fake's true mask at 0.5 on the canvas of side `size`.

    NaN for genuine records, for unknown or empty masks and for records without a score.
    """
    truths = np.full((len(scored.rows), 4), np.nan, np.float32)
    fakes = scored.table.scored & (scored.table["label"] == schema.FAKE)
    for place in np.flatnonzero(fakes):
        mask = canvas_mask(catalog, scored.rows[place], scored.matrices[place], size)
        box = None if mask is None else masks.tight_box(mask)
        if box is not None:
            truths[place] = box
    return truths


def canvas_mask(catalog: Catalog, row: int, matrix: np.ndarray, size: int) -> np.ndarray | None:
    """Returns the true mask (S, S) of a record on the canvas, None where it is not known."""
    mask = catalog.read(row).mask_pixels()
    if mask is None:
        return None
    # Outside the stored crop nothing was manipulated.
    return geometry.warp(mask, matrix, size, border=cv2.BORDER_CONSTANT)


def predicted(boxes: np.ndarray, box_scores: np.ndarray, threshold: float) -> np.ndarray:
    """Returns the boxes (N, K, 4) that count at the threshold, NaN in place of the others."""
    return np.where(counts_as_box(box_scores, threshold)[..., None], boxes, np.nan)


def counts_as_box(box_scores: np.ndarray, threshold: float) -> np.ndarray:
    """Returns bool (N, K): which boxes there are at this threshold."""
    return (box_scores >= threshold) & (box_scores > 0)


def partial_swaps(
    detect: Detect,
    catalog: Catalog,
    split: str,
    config: DataConfig,
    spec: CanvasSpec,
    feature: int,
    batch_size: int,
    seed: int,
    limit: int = 400,
) -> PartialSwaps | None:
    """Returns up to `limit` partial swaps of a split's fakes, seeded, unaugmented, and scored.

    `config` holds the swap's settings; None where no fake of the split has a pristine partner.
    """
    swap = dataclasses.replace(config.swap, untouched=0.0, global_=0.0, partial=1.0, null=False)
    settings = dataclasses.replace(config, swap=swap, augment=_STILL)
    # Every fake is asked about once; one that cannot be swapped is counted, not replaced.
    maker = SampleMaker(catalog, settings, spec, feature, other_frames=0)
    rows = catalog.select(split, label=schema.FAKE)
    rows = np.random.default_rng(seed).permutation(rows)
    samples, left_out = [], {}
    for row, partner in zip(rows.tolist(), catalog.pristine_of(rows).tolist(), strict=True):
        if len(samples) == limit:
            break
        sample, outcome = _sample(maker, Draw(row, partner, (seed, row)))
        if outcome == "partial":
            samples.append(sample)
        else:
            left_out[outcome] = left_out.get(outcome, 0) + 1
    if not samples:
        return None
    videos = catalog.columns["video_id"][[sample.row for sample in samples]]
    fakes = detect_all(detect, np.stack([s.image for s in samples]), batch_size)
    partners = detect_all(detect, np.stack([s.genuine for s in samples]), batch_size)
    return PartialSwaps(samples, videos, fakes, partners, left_out)


def _sample(maker: SampleMaker, draw: Draw) -> tuple[Sample | None, str]:
    try:
        sample = maker.sample(draw)
    except DataError:
        return None, "unreadable"
    return sample, sample.outcome


def partial_swap_results(
    data: str,
    split: str,
    swaps: PartialSwaps | None,
    operating: Operating | None,
    bootstrap: int,
    seed: int,
) -> list[results.Result]:
    """Returns how boxes and pairs fare on the partial swaps, under the method `partial_swap`."""
    if swaps is None:
        reason = "no fake of the split has a pristine partner to swap with"
        return [_missing(data, split, PARTIAL_SWAP, m, reason) for m in (*_BOXES, PAIR_WIN)]
    best = [seen.box_scores.max(axis=1) for seen in (swaps.fakes, swaps.partners)]
    won = box_metrics.pair_win(swaps.videos, *best, bootstrap, seed)
    rows = [results.result(data, split, PARTIAL_SWAP, PAIR_WIN, won)]
    truths = np.stack([sample.boxes[1] for sample in swaps.samples])
    boxes, box_scores = swaps.fakes.boxes, swaps.fakes.box_scores
    found = _box_metrics(swaps.videos, truths, boxes, box_scores, operating, bootstrap, seed)
    return [results.result(data, split, PARTIAL_SWAP, m, found[m]) for m in _BOXES] + rows


def localisation_results(
    scored: Scored,
    catalog: Catalog,
    truths: np.ndarray,
    operating: Operating | None,
    bootstrap: int,
    seed: int,
) -> list[results.Result]:
    """Returns how boxes and pairs fare on the data set's own records, by method."""
    table = scored.table
    data, split, video = catalog.name, str(table["split"][0]), table["video_id"]
    rows = _threshold_results(scored, data, split, operating, bootstrap, seed)
    top, partners = scored.box_scores.max(axis=1), _partners(scored, catalog)
    for method, chosen in results.groups(table).items():
        at = chosen & np.isfinite(truths).all(axis=1)
        boxes, box_scores = scored.boxes[at], scored.box_scores[at]
        found = _box_metrics(video[at], truths[at], boxes, box_scores, operating, bootstrap, seed)
        at = chosen & (partners >= 0)
        won = box_metrics.pair_win(video[at], top[at], top[partners[at]], bootstrap, seed)
        rows += [results.result(data, split, method, m, found[m]) for m in _BOXES]
        rows.append(results.result(data, split, method, PAIR_WIN, _because(won, _NO_PAIRS)))
    return rows


_BOXES = (BOX_RECALL, BOX_PRECISION)
_NO_THRESHOLD = "no genuine validation pictures to choose the box threshold on"
_NO_MASKS = "no scored fake has a true mask"
_NO_PAIRS = "no scored fake has a scored pristine partner"
_NO_GENUINE = "no scored genuine pictures"


def _threshold_results(
    scored: Scored, data: str, split: str, operating: Operating | None, bootstrap: int, seed: int
) -> list[results.Result]:
    if operating is None:
        names = (THRESHOLD, FALSE_BOXES)
        return [_missing(data, split, results.ALL, name, _NO_THRESHOLD) for name in names]
    genuine = scored.table.scored & (scored.table["label"] == schema.REAL)
    shown = predicted(scored.boxes[genuine], scored.box_scores[genuine], operating.threshold)
    nothing, video = np.zeros((len(shown), 0, 4)), scored.table["video_id"][genuine]
    false = box_metrics.localisation(video, nothing, shown, bootstrap, seed)["false_boxes"]
    threshold = Metric(operating.threshold)
    return [
        results.result(data, split, results.ALL, THRESHOLD, threshold),
        results.result(data, split, results.ALL, FALSE_BOXES, _because(false, _NO_GENUINE)),
    ]


def _partners(scored: Scored, catalog: Catalog) -> np.ndarray:
    """For each scored fake the place (N,) of its scored pristine partner, -1 for all others."""
    usable = scored.table.scored
    place = {row: i for i, row in enumerate(scored.rows.tolist()) if usable[i]}
    fakes = np.flatnonzero(usable & (scored.table["label"] == schema.FAKE))
    partners = np.full(len(scored.rows), -1)
    pristine = catalog.pristine_of(scored.rows[fakes]).tolist()
    partners[fakes] = [place.get(row, -1) for row in pristine]
    return partners


def _box_metrics(
    video: np.ndarray,
    truths: np.ndarray,
    boxes: np.ndarray,
    box_scores: np.ndarray,
    operating: Operating | None,
    bootstrap: int,
    seed: int,
) -> dict[str, Metric]:
    """Box recall and precision of N fakes, each with one true box (N, 4)."""
    if operating is None or not len(truths):
        reason = _NO_THRESHOLD if operating is None else _NO_MASKS
        return dict.fromkeys(_BOXES, Metric(None, reason=reason))
    shown = predicted(boxes, box_scores, operating.threshold)
    return box_metrics.localisation(video, truths[:, None], shown, bootstrap, seed)


def _because(measured: Metric, reason: str) -> Metric:
    """The metric, with the reason why it is undefined where it is."""
    return dataclasses.replace(measured, reason=reason) if measured.value is None else measured


def _missing(data: str, split: str, method: str, metric: str, reason: str) -> results.Result:
    return results.result(data, split, method, metric, Metric(None, reason=reason))
