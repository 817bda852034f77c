"""Anchors, IoU, box encoding, matching and non-maximum suppression; jitted, batched, static shapes.

Boxes are (x0, y0, x1, y1), anchors (cx, cy, w, h), both normalised to 0..1 of the canvas. After SSD
(Liu et al. 2016, arXiv:1512.02325) with the anchors of the published detector.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

# Sizes in pixels of a 224 canvas; the published model's steps, in the same pixels, at a 7x7 map.
SIZES = ((40.0, 80.0), (80.0, 120.0), (120.0, 160.0), (224.0, 224.0))
STEPS = (32.0, 45.0, 75.0, 224.0)
PUBLISHED_CANVAS, PUBLISHED_SIDE, MIN_SIDE = 224.0, 7, 6
FULL_ANCHORS = 2
CENTRE_VARIANCE, SIZE_VARIANCE = 0.1, 0.2
# Sides below this many canvases are no boxes: their logarithm would leave float32's range.
SMALLEST = 1e-4


class Matches(NamedTuple):
    """What each anchor should say: `deltas` (B, A, 4), 0 where not `positive` (B, A)."""

    deltas: jax.Array
    positive: jax.Array


class Detections(NamedTuple):
    """Local boxes after suppression, best first: `boxes` (K, 4), `scores` (K,), `valid` (K,).

    `whole` () is the score of the whole canvas, from the two full anchors.
    """

    boxes: jax.Array
    scores: jax.Array
    valid: jax.Array
    whole: jax.Array


@functools.cache
def anchors(canvas: int, feature: int = PUBLISHED_SIDE) -> np.ndarray:
    """Returns the anchors (A, 4) float32 of a feature map of side `feature`, clipped to 0..1.

    Maps of side f, f - 2, f - 4 and 1, row-major cells, per cell (min, max) then (max, min). At
    f = 7 these are the published 168 for any canvas. Raises ValueError for f < 6.
    """
    if feature < MIN_SIDE:
        raise ValueError(
            f"a {canvas} px canvas gives a {feature}x{feature} map; anchors need at least "
            f"{MIN_SIDE}x{MIN_SIDE}: use a larger canvas or a backbone of smaller stride"
        )
    rows = []
    sides = (feature, feature - 2, feature - 4, 1)
    for side, step, (low, high) in zip(sides, STEPS, SIZES, strict=True):
        cells = PUBLISHED_CANVAS / step if feature == PUBLISHED_SIDE else float(side)
        centres = (np.arange(side) + 0.5) / cells
        y, x = np.meshgrid(centres, centres, indexing="ij")
        low, high = low / PUBLISHED_CANVAS, high / PUBLISHED_CANVAS
        per_cell = [
            np.stack([x, y, 0 * x + w, 0 * x + h], -1) for w, h in ((low, high), (high, low))
        ]
        rows.append(np.stack(per_cell, 2).reshape(-1, 4))
    made = np.clip(np.concatenate(rows), 0.0, 1.0).astype(np.float32)
    made.setflags(write=False)
    return made


def local_mask(count: int) -> np.ndarray:
    """Returns bool (count,): True for the anchors of the three local scales."""
    return np.arange(count) < count - FULL_ANCHORS


def to_corners(anchors: jax.Array) -> jax.Array:
    """Returns (..., 4) corners of (cx, cy, w, h), unclipped."""
    half = anchors[..., 2:] / 2
    return jnp.concatenate([anchors[..., :2] - half, anchors[..., :2] + half], -1)


def iou(a: jax.Array, b: jax.Array) -> jax.Array:
    """Returns the IoU (..., N, M) of boxes a (..., N, 4) and b (..., M, 4); 0 for empty ones."""
    low = jnp.maximum(a[..., :, None, :2], b[..., None, :, :2])
    high = jnp.minimum(a[..., :, None, 2:], b[..., None, :, 2:])
    shared = jnp.prod(jnp.maximum(high - low, 0.0), -1)
    area_a = jnp.prod(jnp.maximum(a[..., 2:] - a[..., :2], 0.0), -1)
    area_b = jnp.prod(jnp.maximum(b[..., 2:] - b[..., :2], 0.0), -1)
    union = area_a[..., :, None] + area_b[..., None, :] - shared
    return jnp.where(union > 0.0, shared / jnp.where(union > 0.0, union, 1.0), 0.0)


def encode(boxes: jax.Array, anchors: jax.Array) -> jax.Array:
    """Returns the deltas (..., A, 4) that `decode` turns back into boxes (..., A, 4)."""
    centre = (boxes[..., :2] + boxes[..., 2:]) / 2 - anchors[..., :2]
    centre = centre / (CENTRE_VARIANCE * anchors[..., 2:])
    size = (boxes[..., 2:] - boxes[..., :2]) / anchors[..., 2:]
    return jnp.concatenate([centre, jnp.log(size) / SIZE_VARIANCE], -1)


def decode(deltas: jax.Array, anchors: jax.Array) -> jax.Array:
    """Returns the boxes (..., A, 4) of deltas (..., A, 4), unclipped."""
    centre = anchors[..., :2] + deltas[..., :2] * CENTRE_VARIANCE * anchors[..., 2:]
    # exp of more than 20 is beyond any canvas; the bound keeps untrained heads finite.
    size = anchors[..., 2:] * jnp.exp(jnp.minimum(deltas[..., 2:] * SIZE_VARIANCE, 20.0))
    return to_corners(jnp.concatenate([centre, size], -1))


@functools.partial(jax.jit, static_argnames="threshold")
def match(
    boxes: jax.Array, valid: jax.Array, anchors: jax.Array, threshold: float = 0.5
) -> Matches:
    """Returns the Matches of padded boxes (B, K, 4), of which `valid` (B, K) count.

    An anchor is positive when its best IoU is at least `threshold`, or when it is the best anchor
    of a box. Ties go to the lowest index; of two boxes wanting one anchor the later has it. Boxes
    without area, or not finite, are no boxes.
    """
    return jax.vmap(functools.partial(_match_one, anchors=anchors, threshold=threshold))(
        boxes, valid
    )


def _match_one(
    boxes: jax.Array, valid: jax.Array, *, anchors: jax.Array, threshold: float
) -> Matches:
    sides = boxes[:, 2:] - boxes[:, :2]
    valid = valid & jnp.isfinite(boxes).all(-1) & (sides > SMALLEST).all(-1)
    boxes = jnp.where(valid[:, None], boxes, jnp.array([0.0, 0.0, 1.0, 1.0], boxes.dtype))
    overlaps = jnp.where(valid[:, None], iou(boxes, to_corners(anchors)), -1.0)  # (K, A)
    best_box, best_overlap = jnp.argmax(overlaps, 0), jnp.max(overlaps, 0)
    best_anchor = jnp.argmax(overlaps, 1)
    for k in range(boxes.shape[0]):
        # An invalid box writes to the index past the end, which is dropped.
        place = jnp.where(valid[k], best_anchor[k], anchors.shape[0])
        best_box = best_box.at[place].set(k, mode="drop")
        best_overlap = best_overlap.at[place].set(2.0, mode="drop")
    positive = best_overlap >= threshold
    deltas = encode(boxes[best_box], anchors)
    return Matches(jnp.where(positive[:, None], deltas, 0.0), positive)


def ignored(positive: jax.Array, coverage: jax.Array, threshold: float = 0.1) -> jax.Array:
    """Returns bool (B, A): anchors with more than `threshold` inside the true mask and no match.

    They are neither positive nor negative: what lies under them is partly manipulated.
    """
    return (coverage > threshold) & ~positive


@functools.partial(jax.jit, static_argnames=("iou_threshold", "top_k"))
def nms(
    boxes: jax.Array, scores: jax.Array, iou_threshold: float = 0.5, top_k: int = 200
) -> tuple[jax.Array, jax.Array]:
    """Returns (indices (K,), valid (K,)) of the boxes (N, 4) kept, by descending score (N,).

    Of the `top_k` best, a box goes when it overlaps a better kept one by more than the threshold.
    A score of -inf is no box.
    """
    count = min(top_k, boxes.shape[0])
    top, order = jax.lax.top_k(scores, count)
    overlaps = iou(boxes[order], boxes[order]) > iou_threshold

    def keep_one(i: jax.Array, keep: jax.Array) -> jax.Array:
        beaten = overlaps[i] & (jnp.arange(count) > i) & keep[i]
        return keep & ~beaten

    keep = jax.lax.fori_loop(0, count, keep_one, jnp.isfinite(top))
    place = jnp.argsort(~keep, stable=True)
    return order[place], keep[place]


@functools.partial(jax.jit, static_argnames=("score_threshold", "iou_threshold", "top_k"))
def detections(
    deltas: jax.Array,
    box_logits: jax.Array,
    anchors: jax.Array,
    score_threshold: float = 0.0,
    iou_threshold: float = 0.45,
    top_k: int = 20,
) -> Detections:
    """Returns the Detections of one image: deltas (A, 4), box_logits (A, 2), anchors (A, 4)."""
    chance = jax.nn.softmax(box_logits, -1)[:, 1]
    local = anchors.shape[0] - FULL_ANCHORS
    found = jnp.clip(decode(deltas, anchors)[:local], 0.0, 1.0)
    scores = jnp.where(chance[:local] > score_threshold, chance[:local], -jnp.inf)
    kept, valid = nms(found, scores, iou_threshold, top_k)
    return Detections(found[kept], chance[:local][kept], valid, chance[local:].max())
