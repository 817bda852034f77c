"""Pasting one face over another: alpha and Poisson blending."""

from typing import NamedTuple

import cv2
import numpy as np
from scipy import fft

from iid_jax.forgery import masks


class Blended(NamedTuple):
    """A composite, uint8 (H, W, 3), and whether Poisson blending fell back to alpha."""

    image: np.ndarray
    fell_back: bool


def alpha(background: np.ndarray, foreground: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Returns background + mask * (foreground - background), rounded to uint8 (H, W, 3).

    Images are uint8 (H, W, 3), the mask is float (H, W) in 0..1; where it is 0 the background
    remains as it is.
    """
    composite = background.copy()
    part = masks.around(mask > 0.0)
    if part is not None:
        base, face = background[part].astype(np.float32), foreground[part].astype(np.float32)
        composite[part] = _mixed(base, face, mask[part])
    return composite


def poisson(background: np.ndarray, foreground: np.ndarray, mask: np.ndarray) -> Blended:
    """Returns the foreground's gradients inside the mask, in the background's colours.

    Pérez et al., Poisson Image Editing (2003): the least-squares image whose gradients are the
    foreground's between pixels of the mask and the background's elsewhere, fixed around the
    mask's bounding box, then faded out by the mask: where it is 0 the background remains as it
    is. Solved exactly, for the difference to the background, so that nothing is rounded twice
    (OpenCV's seamlessClone truncates, and darkens half of the pixels by one level). Images are
    uint8 (H, W, 3), the mask is float (H, W) in 0..1. For an empty mask there is nothing to
    solve: the background, and `fell_back` is true.
    """
    inside = mask > 0.0
    part = masks.around(inside)
    if part is None:
        return Blended(background.copy(), True)
    base, face = background[part].astype(np.float32), foreground[part].astype(np.float32)
    change = _integrated(face - base, inside[part].astype(np.float32))
    composite = background.copy()
    composite[part] = _mixed(base, np.clip(base + change, 0.0, 255.0), mask[part])
    return Blended(composite, False)


def match_colours(
    face: np.ndarray, target: np.ndarray, mask: np.ndarray, strength: float
) -> np.ndarray:
    """Returns the face with each channel's mean and spread moved towards the target's in the mask.

    Images are uint8 (H, W, 3), the mask (H, W) counts above 0.5; `strength` 0 changes nothing, 1
    moves all the way (Reinhard et al., Color Transfer between Images, 2001, in RGB).
    """
    inside = mask > 0.5
    if not inside.any():
        return face
    own, wanted = face[inside].astype(np.float32), target[inside].astype(np.float32)
    # A wider gain posterises what it stretches.
    gain = np.clip(wanted.std(0) / np.maximum(own.std(0), 1.0), 0.7, 1.4)
    matched = (face.astype(np.float32) - own.mean(0)) * gain + wanted.mean(0)
    mixed = face + np.float32(strength) * (matched - face)
    return np.clip(np.rint(mixed), 0, 255).astype(np.uint8)


def _mixed(base: np.ndarray, face: np.ndarray, mask: np.ndarray) -> np.ndarray:
    # OpenCV wants a channel of its own for each colour, and is then far faster than broadcasting.
    change = cv2.multiply(cv2.merge([mask.astype(np.float32)] * 3), face - base)
    return cv2.add(change, base, dtype=cv2.CV_8U)


def _integrated(difference: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """The field (H, W, C), 0 around its box, whose gradient is nearest the difference's inside.

    `inside` is float32 (H, W), 0 or 1.
    """
    height, width = inside.shape
    rows, columns = _fast(height), _fast(width)
    top, left = (rows - height) // 2, (columns - width) // 2
    box = np.s_[:, top : top + height, left : left + width]
    # A plane for each colour: the same mask then serves whole rows at once.
    planes = np.stack(cv2.split(difference))
    divergence = np.zeros((len(planes), rows, columns), np.float32)
    part = divergence[box]
    down = (planes[:, 1:] - planes[:, :-1]) * (inside[1:] * inside[:-1])
    right = (planes[:, :, 1:] - planes[:, :, :-1]) * (inside[:, 1:] * inside[:, :-1])
    part[:, :-1] += down
    part[:, 1:] -= down
    part[:, :, :-1] += right
    part[:, :, 1:] -= right
    # The discrete Laplacian with zeros around the box is diagonal under the sine transform.
    waves = fft.dstn(divergence, type=1, axes=(1, 2), overwrite_x=True)
    waves /= _eigenvalues(rows)[:, None] + _eigenvalues(columns)
    return cv2.merge(fft.idstn(waves, type=1, axes=(1, 2), overwrite_x=True)[box])


def _fast(length: int) -> int:
    """The next length whose sine transform is fast."""
    return fft.next_fast_len(length + 1, real=True) - 1


def _eigenvalues(length: int) -> np.ndarray:
    frequencies = np.arange(1, length + 1, dtype=np.float32) * np.float32(np.pi / (length + 1))
    return 2.0 * np.cos(frequencies) - 2.0
