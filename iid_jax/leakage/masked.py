"""A detector's verdict on pictures of which only some cells are there; the rest is a baseline."""

from collections.abc import Callable
from typing import Literal

import cv2
import numpy as np

from iid_jax import geometry
from iid_jax.leakage.network import Network, log_odds

GRID = 7
CELLS = GRID * GRID
# A cell is the face's where at least half of it lies inside the hull of the landmarks.
COVERED = 0.5
# The blurred picture, in canvases: nothing smaller than a quarter of the face is left.
BLUR = 1 / 12
BASELINES = ("mean", "blur")
Baseline = Literal["mean", "blur"]


def face_cells(landmarks: np.ndarray, size: int) -> np.ndarray:
    """Returns bool (49,): the cells, row-major, that the face (68, 2) on a canvas covers."""
    mask = np.zeros((size, size), np.float32)
    cv2.fillConvexPoly(mask, np.rint(geometry.hull(landmarks)).astype(np.int32), 1.0)
    cells = cell_of_pixels(size)
    share = np.bincount(cells.ravel(), mask.ravel(), CELLS) / np.bincount(cells.ravel())
    return share >= COVERED


def cell_of_pixels(size: int) -> np.ndarray:
    """Returns the number of the cell (S, S) of every pixel of a canvas."""
    place = np.arange(size) * GRID // size
    return place[:, None] * GRID + place


def baseline(image: np.ndarray, inside: np.ndarray, kind: Baseline) -> np.ndarray:
    """Returns what stands in for absent cells, uint8 (S, S, 3).

    `mean`: the mean colour of the cells that are not the face's, everywhere; `blur`: the picture
    itself, blurred until no face is left.
    """
    if kind == "blur":
        return cv2.GaussianBlur(image, (0, 0), BLUR * len(image), borderType=cv2.BORDER_REPLICATE)
    around = ~inside[cell_of_pixels(len(image))]
    colour = image[around if around.any() else np.ones_like(around)].mean(axis=0)
    return np.broadcast_to(np.rint(colour).astype(np.uint8), image.shape).copy()


class MaskedScores:
    """The log-odds of fake of one picture under many masks, compiled once for a batch of masks."""

    def __init__(self, network: Network, batch_size: int = 64):
        self.batch_size = batch_size
        self._run = network.spread(_masked(network))

    def __call__(self, image: np.ndarray, absent: np.ndarray, sets: np.ndarray) -> np.ndarray:
        """Returns log-odds (M,) of a canvas (S, S, 3) where only the cells of `sets` (M, 49) are.

        `absent` (S, S, 3) is shown in the other cells.
        """
        missing = -len(sets) % self.batch_size
        padded = np.pad(sets, ((0, missing), (0, 0)))
        parts = [
            self._run(padded[first : first + self.batch_size], image, absent)
            for first in range(0, len(padded), self.batch_size)
        ]
        return np.concatenate(parts)[: len(sets)]


def _masked(network: Network) -> Callable:
    cells = cell_of_pixels(network.spec.size)

    def scores(variables, sets, image, absent):
        there = sets[:, cells][..., None]
        return log_odds(network.outputs(variables, there * image + ~there * absent))

    return scores
