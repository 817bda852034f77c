"""Where a fake differs: hull and window masks, their deformation and feathering, tight boxes.

Masks are float32 (H, W) in 0..1; sizes are (height, width); pixel lengths are the caller's.
"""

import cv2
import numpy as np

from iid_jax import geometry

# Polygon corners keep this many binary digits of a pixel when they are drawn.
_SUBPIXEL_BITS = 4
_DSSIM_REACH = 5
_DSSIM_KERNEL = cv2.getGaussianKernel(2 * _DSSIM_REACH + 1, 1.5)
_C1, _C2 = (0.01 * 255.0) ** 2, (0.03 * 255.0) ** 2


def polygon(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Returns the mask (H, W) of the convex polygon with corners (K, 2), 0 or 1."""
    mask = np.zeros(size, np.uint8)
    corners = np.rint(np.asarray(points, np.float64) * 2**_SUBPIXEL_BITS).astype(np.int32)
    cv2.fillConvexPoly(mask, corners, 1, lineType=cv2.LINE_8, shift=_SUBPIXEL_BITS)
    return mask.astype(np.float32)


def face(size: tuple[int, int], *landmarks: np.ndarray) -> np.ndarray:
    """Returns the mask (H, W) of the hull of one or several faces (68, 2), foreheads included."""
    return polygon(geometry.hull(*landmarks), size)


def window(bounds: tuple[int, int, int, int], size: tuple[int, int]) -> np.ndarray:
    """Returns the mask (H, W) of the pixels x0 <= x < x1, y0 <= y < y1."""
    x0, y0, x1, y1 = bounds
    mask = np.zeros(size, np.float32)
    mask[y0:y1, x0:x1] = 1.0
    return mask


def deform(
    mask: np.ndarray, rng: np.random.Generator, strength: float, cells: int = 4
) -> np.ndarray:
    """Returns the mask displaced by a smooth random field, uniform in +-`strength` px at its knots.

    The field has (cells + 1)^2 knots over the picture and is cubic between them.
    """
    height, width = mask.shape
    knots = rng.uniform(-strength, strength, (cells + 1, cells + 1, 2)).astype(np.float32)
    field = cv2.resize(knots, (width, height), interpolation=cv2.INTER_CUBIC)
    deformed = np.zeros_like(mask)
    # Cubics overshoot their knots, in two dimensions by less than as much again.
    part = around(mask > 0.0, 1 + int(np.ceil(2.0 * strength)))
    if part is None:
        return deformed
    rows, columns = (np.arange(side.start, side.stop, dtype=np.float32) for side in part)
    x, y = columns + field[part][..., 0], rows[:, None] + field[part][..., 1]
    deformed[part] = cv2.remap(mask, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return deformed


def feather(mask: np.ndarray, width: float) -> np.ndarray:
    """Returns the mask with its edge blurred over about `width` px, half of it on either side.

    The edge's 0.5 level stays; farther than `width` from the edge nothing changes.
    """
    radius = max(int(np.ceil(width)), 1)
    size = (2 * radius + 1, 2 * radius + 1)
    sigma = max(width / 2.0, 0.3)
    feathered = np.zeros_like(mask)
    part = around(mask > 0.0, radius)
    if part is None:
        return feathered
    blurred = cv2.GaussianBlur(mask[part], size, sigma, borderType=cv2.BORDER_REPLICATE)
    # The kernel's weights sum to 1 but for float rounding.
    np.minimum(blurred, 1.0, out=feathered[part])
    return feathered


def tight_box(mask: np.ndarray, threshold: float = 0.5) -> np.ndarray | None:
    """Returns (x0, y0, x1, y1) in 0..1 around the pixels of at least `threshold`, None if none."""
    part = around(mask >= threshold)
    if part is None:
        return None
    (height, width), (rows, columns) = mask.shape, part
    x0, x1 = columns.start / width, columns.stop / width
    return np.array([x0, rows.start / height, x1, rows.stop / height], np.float32)


def dssim(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns how two uint8 images of one shape differ at each pixel: (1 - SSIM) / 2, float32.

    0 where they are equal, to 1. SSIM under a Gaussian of 11x11, sigma 1.5 (Wang et al. 2004),
    with reflected edges; images are (H, W) or (H, W, C), and so is the result.
    """
    a, b = first.astype(np.float32), second.astype(np.float32)
    mean_a, mean_b = _smooth(a), _smooth(b)
    product = mean_a * mean_b
    mean_a *= mean_a
    mean_b *= mean_b
    squares = np.add(mean_a, mean_b, out=mean_a)
    together = _smooth(a * b)
    together -= product
    a *= a
    b *= b
    spread = _smooth(np.add(a, b, out=a))
    spread -= squares
    ssim = product
    ssim *= 2
    ssim += _C1
    together *= 2
    together += _C2
    ssim *= together
    squares += _C1
    spread += _C2
    squares *= spread
    ssim /= squares
    np.subtract(1.0, ssim, out=ssim)
    ssim /= 2.0
    return np.clip(ssim, 0.0, 1.0, out=ssim)


def difference(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns the DSSIM of the luminances of two uint8 images (H, W, 3), float32 (H, W)."""
    return dssim(*(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (first, second)))


def difference_inside(first: np.ndarray, second: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Returns `difference` times the mask (H, W), computed around the mask only."""
    weighed = np.zeros(mask.shape, np.float32)
    # With the Gaussian's reach around it, the DSSIM inside is that of the whole.
    part = around(mask > 0.0, _DSSIM_REACH)
    if part is not None:
        weighed[part] = difference(first[part], second[part]) * mask[part]
    return weighed


def around(inside: np.ndarray, reach: int = 0) -> tuple[slice, slice] | None:
    """Returns the part of a picture around what is `inside`, bool (H, W); None if nothing is.

    Rows and columns, with `reach` px on every side where the picture has them.
    """
    x, y, width, height = cv2.boundingRect(inside.view(np.uint8))
    if not width:
        return None
    rows = slice(max(y - reach, 0), min(y + height + reach, inside.shape[0]))
    return rows, slice(max(x - reach, 0), min(x + width + reach, inside.shape[1]))


def grey_difference(first: np.ndarray, second: np.ndarray, mask: np.ndarray) -> float:
    """Returns the mean absolute difference in grey levels over the mask (H, W) at 0.5; 0 if empty.

    Images are uint8 (H, W, 3).
    """
    inside = mask >= 0.5
    part = around(inside)
    if part is None:
        return 0.0
    apart = cv2.absdiff(first[part], second[part])
    return float(np.mean(cv2.mean(apart, inside[part].view(np.uint8))[:3]))


def _smooth(image: np.ndarray) -> np.ndarray:
    return cv2.sepFilter2D(image, -1, _DSSIM_KERNEL, _DSSIM_KERNEL)
