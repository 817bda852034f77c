"""Anchors, IoU, box encoding, matching and non-maximum suppression; jitted, batched, static shapes.

Boxes are (x0, y0, x1, y1), anchors (cx, cy, w, h), both normalised to 0..1 of the canvas. After SSD
(Liu et al. 2016, arXiv:1512.02325) with the anchors of the published detector. What is not finite,
inverted or without area is no box; whatever goes in, what comes out is finite.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

# Sizes in pixels of a 224 canvas; the published model's steps, in the same pixels, at a 7x7 map.
SIZES = ((40.0, 80.0), (80.0, 120.0), (120.0, 160.0), (224.0, 224.0))
STEPS = (32.0, 45.0, 75.0, 224.0)
PUBLISHED_CANVAS, PUBLISHED_SIDE, MIN_SIDE = 224.0, 7, 6
FULL_ANCHORS = 2
CENTRE_VARIANCE, SIZE_VARIANCE = 0.1, 0.2
# In canvases. A shorter side is rounding noise of float32 coordinates; a coordinate further out
# is no place on a picture, and squares of it would leave float32's range.
SMALLEST, FARTHEST = 1e-6, 1e4
# The exponential of more would be no finite size; this is 500 million anchors wide.
MAX_SIZE_DELTA = 100.0


class Matches(NamedTuple):
    """What each anchor should say: `deltas` (..., A, 4), 0 where not `positive` (..., A)."""

    deltas: jax.Array
    positive: jax.Array


class Detections(NamedTuple):
    """Local boxes after suppression, best first: `boxes` (K, 4), `scores` (K,), `valid` (K,).

    Boxes lie on the canvas; those that are not valid are 0 with score 0. `whole` () is the score
    of the whole canvas, from the two full anchors; NaN where their logits are NaN.
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
    for side, step, sizes in zip(sides, STEPS, SIZES, strict=True):
        cells = PUBLISHED_CANVAS / step if feature == PUBLISHED_SIDE else float(side)
        rows.append(_grid(side, cells, *(size / PUBLISHED_CANVAS for size in sizes)))
    made = np.clip(np.concatenate(rows), 0.0, 1.0).astype(np.float32)
    made.setflags(write=False)
    return made


def _grid(side: int, cells: float, low: float, high: float) -> np.ndarray:
    centres = (np.arange(side) + 0.5) / cells
    y, x = np.meshgrid(centres, centres, indexing="ij")
    shapes = ((low, high), (high, low))
    per_cell = [np.stack([x, y, 0 * x + w, 0 * x + h], -1) for w, h in shapes]
    return np.stack(per_cell, 2).reshape(-1, 4)


def local_mask(count: int) -> np.ndarray:
    """Returns bool (count,): True for the anchors of the three local scales."""
    return np.arange(count) < count - FULL_ANCHORS


@jax.jit
def to_corners(anchors: ArrayLike) -> jax.Array:
    """Returns (..., 4) corners of (cx, cy, w, h), unclipped."""
    half = anchors[..., 2:] / 2
    return jnp.concatenate([anchors[..., :2] - half, anchors[..., :2] + half], -1)


@jax.jit
def is_box(boxes: ArrayLike) -> jax.Array:
    """Returns bool (...,): which of (..., 4) are boxes: finite, with two sides above 1e-6.

    Coordinates further than 10,000 canvases out are no box's.
    """
    near = (jnp.abs(boxes) <= FARTHEST).all(-1)
    return near & (boxes[..., 2:] - boxes[..., :2] > SMALLEST).all(-1)


@jax.jit
def iou(a: ArrayLike, b: ArrayLike) -> jax.Array:
    """Returns the IoU (..., N, M), 0..1, of boxes a (..., N, 4) and b (..., M, 4).

    It is 0 where either is no box.
    """
    a, b = (jnp.where(is_box(boxes)[..., None], boxes, 0.0) for boxes in (a, b))
    low = jnp.maximum(a[..., :, None, :2], b[..., None, :, :2])
    high = jnp.minimum(a[..., :, None, 2:], b[..., None, :, 2:])
    shared = jnp.prod(jnp.maximum(high - low, 0.0), -1)
    area_a, area_b = (jnp.prod(boxes[..., 2:] - boxes[..., :2], -1) for boxes in (a, b))
    union = area_a[..., :, None] + area_b[..., None, :] - shared
    return jnp.where(union > 0.0, shared / jnp.where(union > 0.0, union, 1.0), 0.0)


@jax.jit
def encode(boxes: ArrayLike, anchors: ArrayLike) -> jax.Array:
    """Returns the deltas (..., A, 4) that `decode` turns back into boxes (..., A, 4).

    Sides below 1e-6, inverted ones too, count as 1e-6; coordinates are bounded and NaN is 0.
    """
    boxes = jnp.clip(jnp.nan_to_num(boxes), -FARTHEST, FARTHEST)
    centre = (boxes[..., :2] + boxes[..., 2:]) / 2 - anchors[..., :2]
    centre = centre / (CENTRE_VARIANCE * anchors[..., 2:])
    size = jnp.maximum(boxes[..., 2:] - boxes[..., :2], SMALLEST) / anchors[..., 2:]
    return jnp.concatenate([centre, jnp.log(size) / SIZE_VARIANCE], -1)


@jax.jit
def decode(deltas: ArrayLike, anchors: ArrayLike) -> jax.Array:
    """Returns the boxes (..., A, 4) of deltas (..., A, 4), unclipped.

    What is not finite counts as the largest finite number, NaN as 0 (the anchor's own value).
    """
    deltas = jnp.nan_to_num(deltas)
    growth = jnp.clip(deltas[..., 2:], -MAX_SIZE_DELTA, MAX_SIZE_DELTA)
    centre = anchors[..., :2] + deltas[..., :2] * CENTRE_VARIANCE * anchors[..., 2:]
    size = anchors[..., 2:] * jnp.exp(growth * SIZE_VARIANCE)
    return to_corners(jnp.concatenate([centre, size], -1))


@jax.jit
def match(
    boxes: ArrayLike, valid: ArrayLike, anchors: ArrayLike, threshold: float = 0.5
) -> Matches:
    """Returns the Matches of padded boxes (..., K, 4), of which `valid` (..., K) count.

    An anchor is positive when its best IoU is at least `threshold`, or when it is the best anchor
    of a box. Ties go to the lowest index; of two boxes wanting one anchor the later has it. What
    is no box, or meets no anchor, is left out.
    """
    boxes = jnp.asarray(boxes, jnp.float32)
    overlaps = iou(boxes, to_corners(anchors))  # (..., K, A)
    valid = valid & (overlaps > 0.0).any(-1)
    overlaps = jnp.where(valid[..., None], overlaps, -1.0)
    best_box, best_overlap = jnp.argmax(overlaps, -2), jnp.max(overlaps, -2)  # (..., A)
    best_anchor = jnp.argmax(overlaps, -1)  # (..., K)
    wanted = (best_anchor[..., None] == jnp.arange(overlaps.shape[-1])) & valid[..., None]
    number = jnp.arange(overlaps.shape[-2])[:, None]
    claim = jnp.max(jnp.where(wanted, number, -1), -2)  # the last box that wants the anchor, or -1
    positive = (claim >= 0) | (best_overlap >= threshold)
    chosen = jnp.where(claim >= 0, claim, best_box)
    deltas = encode(jnp.take_along_axis(boxes, chosen[..., None], -2), anchors)
    return Matches(jnp.where(positive[..., None], deltas, 0.0), positive)


def ignored(positive: ArrayLike, coverage: ArrayLike, threshold: float = 0.1) -> jax.Array:
    """Returns bool (..., A): anchors with more than `threshold` inside the true mask and no match.

    They are neither positive nor negative: what lies under them is partly manipulated.
    """
    return (coverage > threshold) & ~positive


@functools.partial(jax.jit, static_argnames="top_k")
def nms(
    boxes: ArrayLike, scores: ArrayLike, iou_threshold: float = 0.5, top_k: int = 200
) -> tuple[jax.Array, jax.Array]:
    """Returns (indices (top_k,), valid (top_k,)) of the boxes (N, 4) kept, by falling score (N,).

    Of the `top_k` best, a box goes when it overlaps a better kept one by more than the threshold.
    Equal scores go by index. A score of NaN or -inf is no box.
    """
    count = min(top_k, boxes.shape[0])
    scores = jnp.where(is_box(boxes) & ~jnp.isnan(scores), scores, -jnp.inf)
    top, order = jax.lax.top_k(scores, count)
    overlapping = iou(boxes[order], boxes[order]) > iou_threshold
    after = jnp.arange(count)

    def keep_one(i: jax.Array, keep: jax.Array) -> jax.Array:
        return keep & ~(overlapping[i] & (after > i) & keep[i])

    keep = jax.lax.fori_loop(0, count, keep_one, top > -jnp.inf)
    place = jnp.argsort(~keep, stable=True)
    padding = (0, top_k - count)
    return jnp.pad(order[place], padding), jnp.pad(keep[place], padding)


@functools.partial(jax.jit, static_argnames="top_k")
def detections(
    deltas: ArrayLike,
    box_logits: ArrayLike,
    anchors: ArrayLike,
    score_threshold: float = 0.0,
    iou_threshold: float = 0.45,
    top_k: int = 20,
) -> Detections:
    """Returns the Detections of one image: deltas (A, 4), box_logits (A, 2), anchors (A, 4).

    The `top_k` best boxes with a score of at least `score_threshold` that are left after
    suppression. An anchor whose outputs are not finite, or whose box misses the canvas, finds
    nothing. Use `jax.vmap` for a batch.
    """
    local = anchors.shape[0] - FULL_ANCHORS
    logits = jnp.asarray(box_logits, jnp.float32)
    chance = jax.nn.sigmoid(logits[:, 1] - logits[:, 0])
    found = jnp.clip(decode(jnp.asarray(deltas, jnp.float32), anchors)[:local], 0.0, 1.0)
    good = jnp.isfinite(deltas).all(-1)[:local] & (chance[:local] >= score_threshold)
    scores = jnp.where(good, chance[:local], -jnp.inf)
    kept, valid = (part[:top_k] for part in nms(found, scores, iou_threshold, max(top_k, local)))
    return Detections(
        boxes=jnp.where(valid[:, None], found[kept], 0.0),
        scores=jnp.where(valid, scores[kept], 0.0),
        valid=valid,
        whole=chance[local:].max(),
    )
