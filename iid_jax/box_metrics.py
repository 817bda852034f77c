"""How well boxes are found: recall, precision, false boxes, and fakes above their own partners.

NumPy only; what cannot be computed is a Metric without a value and with the reason.
"""

import numpy as np

from iid_jax.measures import Metric, columns, interval, resample

MATCH_IOU = 0.5


def localisation(
    video: np.ndarray,
    truths: np.ndarray,
    predicted: np.ndarray,
    bootstrap: int = 1000,
    seed: int = 0,
) -> dict[str, Metric]:
    """Returns `box_recall`, `box_precision` and `false_boxes` (per picture) of N pictures.

    `truths` (N, K, 4) and `predicted` (N, M, 4), best first, are padded with NaN. A true box is
    found by one predicted box: each, the best first, takes the free true box that it overlaps most,
    with an IoU of at least 0.5, and is false where there is none (the rule of COCO); precision is
    the share of predicted boxes that are not. Intervals are over whole videos (N,).
    """
    found, present, false = match_boxes(truths, predicted)
    pictures = np.ones(len(false))
    return {
        "box_recall": _ratio(video, found, present, bootstrap, seed, "no true boxes"),
        "box_precision": _ratio(video, found, found + false, bootstrap, seed, "no boxes"),
        "false_boxes": _ratio(video, false, pictures, bootstrap, seed, "no pictures"),
    }


def match_boxes(
    truths: np.ndarray, predicted: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the numbers of found, of true and of false boxes (N,): see `localisation`."""
    truths, predicted = np.asarray(truths, np.float64), np.asarray(predicted, np.float64)
    true, made = _is_box(truths), _is_box(predicted)
    overlap = _iou(truths, predicted)
    free, rows = true.copy(), np.arange(len(truths))
    for number in range(predicted.shape[1] if truths.shape[1] else 0):
        candidates = np.where(free, overlap[:, :, number], 0.0)
        best = candidates.argmax(axis=1)
        hit = candidates[rows, best] >= MATCH_IOU
        free[rows[hit], best[hit]] = False
    found = (true & ~free).sum(axis=1)
    return found, true.sum(axis=1), made.sum(axis=1) - found


def pair_win(
    video: np.ndarray,
    fake: np.ndarray,
    partner: np.ndarray,
    bootstrap: int = 1000,
    seed: int = 0,
) -> Metric:
    """Returns the share of pairs (N,) in which the fake scores above its genuine partner.

    Equal scores count half; pairs without two finite scores are left out.
    """
    video, fake, partner = columns(video, fake, partner)
    known = np.isfinite(fake) & np.isfinite(partner)
    won = np.where(fake == partner, 0.5, fake > partner)[known]
    return _ratio(video[known], won, np.ones(len(won)), bootstrap, seed, "no scored pairs")


def _ratio(
    video: np.ndarray, top: np.ndarray, bottom: np.ndarray, bootstrap: int, seed: int, empty: str
) -> Metric:
    """The ratio of two sums over pictures, its interval over whole videos."""
    names, index = np.unique(np.asarray(video)[bottom > 0], return_inverse=True)
    if not len(names):
        return Metric(None, reason=empty)
    top, bottom = (np.bincount(index, part[bottom > 0]) for part in (top, bottom))
    value = float(top.sum() / bottom.sum())
    if len(names) < 2 or not bootstrap:
        reason = "no interval: one video only" if bootstrap else ""
        return Metric(value, n_videos=len(names), reason=reason)
    rng = np.random.default_rng(seed)
    weights = resample(len(names), bootstrap, rng)
    lo, hi = interval([(weights @ top) / (weights @ bottom)])
    return Metric(value, lo, hi, len(names))


def _is_box(boxes: np.ndarray) -> np.ndarray:
    finite = np.isfinite(boxes).all(axis=-1)
    return finite & (boxes[..., 2:] > boxes[..., :2]).all(axis=-1)


def _iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """IoU (N, K, M) of boxes (N, K, 4) and (N, M, 4), 0 for those without area."""
    a, b = (np.where(_is_box(boxes)[..., None], boxes, 0.0) for boxes in (a, b))
    low = np.maximum(a[:, :, None, :2], b[:, None, :, :2])
    high = np.minimum(a[:, :, None, 2:], b[:, None, :, 2:])
    shared = np.clip(high - low, 0.0, None).prod(axis=-1)
    area_a, area_b = (np.prod(boxes[..., 2:] - boxes[..., :2], axis=-1) for boxes in (a, b))
    union = area_a[:, :, None] + area_b[:, None, :] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0.0)
