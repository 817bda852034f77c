"""Safe decoding of pictures: looked at before they are unpacked, upright, RGB, whole or refused."""

import io
import os
import stat
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from iid_jax.errors import DataError

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM")
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm")
MAX_PIXELS = 64_000_000
MAX_BYTES = 256_000_000
MIN_SIDE = 16

_EIGHT_BIT = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr")
_SIXTEEN_BIT = ("I;16", "I;16L", "I;16B", "I;16N", "I")


class MediaError(DataError):
    """A picture that cannot be used; `reason` is a stable code for reports.

    Codes: not_found, unreadable, empty, too_large, too_small, unknown_format, truncated,
    unsupported.
    """

    def __init__(self, reason: str, message: str):
        super().__init__(message)
        self.reason = reason


def read_image(path: str | os.PathLike, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Returns the picture at `path`, upright, as RGB uint8 (H, W, 3); of an animation the first.

    Raises:
      MediaError: with a reason code, see there.
    """
    path = Path(path)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise MediaError("unreadable", f"{path} is not a file")
        if status.st_size > MAX_BYTES:
            raise MediaError(
                "too_large", f"{path}: {status.st_size} bytes; allowed: up to {MAX_BYTES}"
            )
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise MediaError("not_found", f"no such file: {path}") from error
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        raise MediaError("unreadable", f"{str(path)!r} cannot be read: {error}") from error
    return decode_image(data, str(path), max_pixels)


def decode_image(data: bytes, name: str = "picture", max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Returns encoded bytes as an upright picture, RGB uint8 (H, W, 3).

    The header's size is checked before any pixel is unpacked. EXIF orientation is applied, grey
    is repeated, palettes are looked up, transparency is laid on black, 16-bit grey scaled to 8
    bits (of 16-bit colours the upper half is taken), CMYK converted without its profile.

    Raises:
      MediaError: with a reason code, see there; `name` stands in the message.
    """
    if not data:
        raise MediaError("empty", f"{name} is empty (0 bytes)")
    _check_size(*_webp_size(data), name, max_pixels)
    with warnings.catch_warnings():
        # Metadata that Pillow finds odd; sizes are checked here.
        warnings.simplefilter("ignore")
        try:
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                _check_header(image, name, max_pixels)
                image.load()
                return _pixels(image, name)
        except UnidentifiedImageError as error:
            formats = ", ".join(FORMATS)
            raise MediaError(
                "unknown_format", f"{name} is not a picture this package reads; allowed: {formats}"
            ) from error
        except Image.DecompressionBombError as error:
            # Pillow's own limit, farther away.
            allowed = f"allowed: up to {max_pixels} pixels in all"
            raise MediaError("too_large", f"{name}: many times too large; {allowed}") from error
        except MediaError:
            raise
        except (OSError, SyntaxError, ValueError, EOFError, IndexError) as error:
            # What Pillow's decoders raise on damaged files.
            raise MediaError("truncated", f"{name} is truncated or damaged: {error}") from error


def _webp_size(data: bytes) -> tuple[int, int]:
    """Width and height of a WebP file's header, (0, 0) of any other file.

    Pillow tells them only after whole canvases have been allocated.
    """
    header = data[:30]
    if len(header) < 30 or header[:4] + header[8:12] != b"RIFFWEBP":
        return 0, 0
    if header[12:16] == b"VP8X":
        width, height = (int.from_bytes(header[i : i + 3], "little") for i in (24, 27))
        return 1 + width, 1 + height
    if header[12:16] == b"VP8L":
        sides = int.from_bytes(header[21:25], "little")
        return 1 + sides % 2**14, 1 + (sides >> 14) % 2**14
    width, height = (int.from_bytes(header[i : i + 2], "little") for i in (26, 28))
    return width % 2**14, height % 2**14


def _check_size(width: int, height: int, name: str, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise MediaError(
            "too_large", f"{name}: {width}x{height} pixels; allowed: up to {max_pixels} in all"
        )


def _check_header(image: Image.Image, name: str, max_pixels: int) -> None:
    width, height = image.size
    _check_size(width, height, name, max_pixels)
    if min(width, height) < MIN_SIDE:
        raise MediaError(
            "too_small", f"{name}: {width}x{height} pixels; allowed: at least {MIN_SIDE} a side"
        )
    if image.mode not in _EIGHT_BIT + _SIXTEEN_BIT:
        raise MediaError(
            "unsupported", f"{name}: pixels of kind {image.mode!r}; allowed: 8-bit, or 16-bit grey"
        )


def _pixels(image: Image.Image, name: str) -> np.ndarray:
    try:
        upright = ImageOps.exif_transpose(image)
    except (SyntaxError, ValueError, TypeError, KeyError, OSError):
        upright = image  # unreadable EXIF data says nothing about the orientation
    if upright.mode in _SIXTEEN_BIT:
        return _from_sixteen_bit(np.asarray(upright), name)
    if upright.has_transparency_data:
        coloured = upright.convert("RGBA")
        black = Image.new("RGBA", coloured.size, (0, 0, 0, 255))
        upright = Image.alpha_composite(black, coloured)
    return np.array(upright.convert("RGB"))


def _from_sixteen_bit(values: np.ndarray, name: str) -> np.ndarray:
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 65535:
        raise MediaError("unsupported", f"{name}: pixels {low} to {high}; allowed: 0 to 65535")
    grey = np.rint(values / 257.0).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)
