"""How much of each anchor lies inside a mask."""

import functools
import itertools
from typing import NamedTuple

import cv2
import numpy as np


def of_anchors(mask: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """Returns the share of each anchor's area on the canvas inside the mask, (A,) float32.

    `mask` is (S, S) in 0..1, `anchors` (A, 4) as (cx, cy, w, h) in 0..1. An anchor that hangs over
    the canvas counts with the part that is on it.
    """
    total = cv2.integral(np.asarray(mask, np.float32), sdepth=cv2.CV_64F)
    anchors = np.ascontiguousarray(anchors, np.float64)
    reading = _reading(anchors.tobytes(), mask.shape)
    inside = (total.take(reading.places) * reading.weights).sum(axis=0)
    share = inside * reading.per_area
    return np.clip(share, 0.0, 1.0).astype(np.float32)


class _Reading(NamedTuple):
    """Where anchors (A,) read an integral image, with which sign and share: (16, A) each.

    `per_area` (A,) is 1 / area, 0 for an anchor beside the canvas.
    """

    places: np.ndarray
    weights: np.ndarray
    per_area: np.ndarray


@functools.lru_cache(maxsize=16)
def _reading(anchors: bytes, size: tuple[int, int]) -> _Reading:
    """For float64 anchors (A, 4): four corners, each bilinear between four whole positions.

    Exact: between whole positions the integral of a picture of pixels is bilinear.
    """
    height, width = size
    centre, half = np.split(np.frombuffer(anchors).reshape(-1, 4) / (1.0, 1.0, 2.0, 2.0), 2, axis=1)
    low = np.clip(centre - half, 0.0, 1.0) * (width, height)
    high = np.clip(centre + half, 0.0, 1.0) * (width, height)
    places, weights = [], []
    for (x, sign_x), (y, sign_y) in itertools.product(
        ((low[:, 0], -1.0), (high[:, 0], 1.0)), ((low[:, 1], -1.0), (high[:, 1], 1.0))
    ):
        column = np.minimum(x.astype(np.int64), width - 1)
        row = np.minimum(y.astype(np.int64), height - 1)
        for right, down in itertools.product((0, 1), repeat=2):
            places.append((row + down) * (width + 1) + column + right)
            share_x = x - column if right else column + 1 - x
            share_y = y - row if down else row + 1 - y
            weights.append(sign_x * sign_y * share_x * share_y)
    area = np.prod(high - low, axis=1)
    per_area = np.divide(1.0, area, out=np.zeros_like(area), where=area > 0)
    return _Reading(np.array(places), np.array(weights), per_area)
