"""Pasting one face over another: alpha and Poisson blending."""

from typing import NamedTuple

import cv2
import numpy as np

# OpenCV takes gradients from the source only this far inside the mask (it erodes it thrice, 3x3).
_EROSION = 3


class Blended(NamedTuple):
    """A composite, uint8 (H, W, 3), and whether Poisson blending fell back to alpha."""

    image: np.ndarray
    fell_back: bool


def alpha(background: np.ndarray, foreground: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Returns background + mask * (foreground - background), rounded to uint8 (H, W, 3).

    Images are uint8 (H, W, 3), the mask is float (H, W) in 0..1; where it is 0 the background
    remains as it is.
    """
    base = background.astype(np.float32)
    mixed = base + mask[..., None].astype(np.float32) * (foreground.astype(np.float32) - base)
    return np.clip(np.rint(mixed), 0, 255).astype(np.uint8)


def poisson(background: np.ndarray, foreground: np.ndarray, mask: np.ndarray) -> Blended:
    """Returns the foreground's gradients inside the mask, in the background's colours.

    Pérez et al., Poisson Image Editing (2003), solved on the mask's whole support and then faded
    out by the mask: where it is 0 the background remains as it is. Images are uint8 (H, W, 3),
    the mask is float (H, W) in 0..1. A mask that reaches no pixel inside the picture's outermost
    ring cannot be solved for: alpha blending, and `fell_back` is true.
    """
    support = _support(mask)
    x, y, width, height = cv2.boundingRect(support)
    if not width or not height:
        return Blended(alpha(background, foreground, mask), True)
    # The clone is placed by the centre of the *mask's* bounding box: any other moves the face.
    centre = (x + width // 2, y + height // 2)
    clone = cv2.seamlessClone(foreground, background, support, centre, cv2.NORMAL_CLONE)
    return Blended(alpha(background, clone, mask), False)


def _support(mask: np.ndarray) -> np.ndarray:
    """Where OpenCV must work to cover the mask, as uint8 0 or 255 without the outermost ring."""
    inside = (mask > 0.0).astype(np.uint8) * 255
    kernel = np.ones((2 * _EROSION + 1, 2 * _EROSION + 1), np.uint8)
    grown = cv2.dilate(inside, kernel)
    grown[[0, -1]] = 0
    grown[:, [0, -1]] = 0
    return grown
