"""Drawing with smooth edges: polygons, lines, soft patches and masked layers."""

import cv2
import numpy as np

FINE = 4  # binary digits of a pixel kept for polygon corners


def fixed(points: np.ndarray) -> np.ndarray:
    """Returns points in OpenCV's fixed-point units, int32."""
    return np.rint(np.asarray(points) * 2**FINE).astype(np.int32)


def polygon(picture: np.ndarray, points: np.ndarray, colour) -> None:
    """Fills the polygon with corners (K, 2), in fractions of a pixel."""
    cv2.fillPoly(picture, [fixed(points)], plain(colour), cv2.LINE_AA, FINE)


def line(picture: np.ndarray, points: np.ndarray, colour, width: float, closed=False) -> None:
    """Draws a line through points (K, 2)."""
    thick = max(round(width), 1)
    cv2.polylines(picture, [fixed(points)], closed, plain(colour), thick, cv2.LINE_AA, FINE)


def lines(picture: np.ndarray, paths: np.ndarray, colours: np.ndarray, width: float) -> None:
    """Draws many lines (N, K, 2), each in its own colour (N, 3)."""
    thick = max(round(width), 1)
    shades = np.clip(colours, 0.0, 255.0).tolist()
    for path, shade in zip(fixed(paths), shades, strict=True):
        cv2.polylines(picture, [path], False, shade, thick, cv2.LINE_AA, FINE)


def disc(picture: np.ndarray, centre: np.ndarray, axes: tuple[float, float], colour) -> None:
    """Fills an upright ellipse with half axes (x, y)."""
    place = tuple(int(v) for v in fixed(centre))
    half = tuple(max(int(a * 2**FINE), 1) for a in axes)
    cv2.ellipse(picture, place, half, 0, 0, 360, plain(colour), -1, cv2.LINE_AA, FINE)


def soft(layer: np.ndarray, points: np.ndarray, colour, spread: float, strength: float) -> None:
    """Covers the polygon (K, 2) and `spread` px around it with a blurred patch of the colour."""
    low = np.maximum(np.floor(points.min(0) - 3 * spread), 0).astype(int)
    high = np.ceil(points.max(0) + 3 * spread).astype(int)
    part = layer[low[1] : max(high[1], 0), low[0] : max(high[0], 0)]
    if not part.size:
        return
    mask = np.zeros(part.shape[:2], np.uint8)
    polygon(mask, points - low, 255)
    line(mask, points - low, 255, spread)
    mask = blurred(mask, max(spread, 0.8))
    paste(part, np.broadcast_to(uint8(colour), part.shape), (mask * strength).astype(np.uint8))


def paste(picture: np.ndarray, layer: np.ndarray, mask: np.ndarray) -> None:
    """Lays the layer over the picture, both uint8 (H, W, 3), by the mask, uint8 (H, W)."""
    x, y, w, h = cv2.boundingRect(mask)
    part, over = picture[y : y + h, x : x + w], layer[y : y + h, x : x + w]
    share = mask[y : y + h, x : x + w, None].astype(np.float32) * np.float32(1 / 255)
    part[:] = part + share * (over.astype(np.float32) - part)


def blurred(mask: np.ndarray, sigma: float) -> np.ndarray:
    """Returns the mask under a Gaussian cut off at two deviations."""
    side = 2 * max(round(2 * sigma), 1) + 1
    return cv2.GaussianBlur(mask, (side, side), sigma)


def uint8(values: np.ndarray) -> np.ndarray:
    """Returns values clipped to 0..255."""
    return np.clip(values, 0, 255).astype(np.uint8)


def plain(colour) -> tuple[float, ...]:
    """Returns a colour or a grey level as OpenCV takes it."""
    values = (colour,) * 3 if isinstance(colour, int) else colour
    return tuple(min(max(float(v), 0.0), 255.0) for v in values)
