"""The record: one face in one frame, as every data set of this package stores it."""

import dataclasses
import hashlib
from typing import Any

import cv2
import numpy as np

from iid_jax import geometry
from iid_jax.errors import DataError

SPLITS = ("train", "val", "test", "probe", "partner")
REAL, FAKE = 0, 1
ORIGINAL = "original"
LONGEST_SIDE = 512
JPEG_QUALITY = 95

SCALARS = {
    "face": np.int32,
    "faces": np.int32,
    "detector_score": np.float32,
    "label": np.int32,
    "frame": np.int32,
    "time": np.float64,
}
TENSORS = {
    "crop": ((4,), np.int32),
    "frame_size": ((2,), np.int32),
    "landmarks": ((68, 2), np.float32),
}
TEXTS = (
    "quality",
    "method",
    "compression",
    "split",
    "video_id",
    "pristine_id",
    "identity",
    "source_identity",
    "sha256",
)
COLUMNS = (*SCALARS, *TENSORS, *TEXTS)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Record:
    """One example: `image` and `mask` are encoded bytes of the crop, the rest describes it.

    `crop` is (x0, y0, x1, y1) and `frame_size` (height, width), in frame pixels, like `landmarks`
    (68, 2). `mask` is a PNG of the manipulated area, 0..255, or empty where it is not known.
    `pristine_id` is the video a fake was made from, `identity` its target, `source_identity`
    its donor; `quality` holds comma-separated flags.
    """

    image: bytes
    mask: bytes = b""
    crop: np.ndarray
    frame_size: np.ndarray
    landmarks: np.ndarray
    label: int
    method: str
    split: str
    video_id: str
    frame: int
    identity: str
    time: float = 0.0
    face: int = 0
    faces: int = 1
    detector_score: float = 1.0
    quality: str = ""
    compression: str = ""
    pristine_id: str = ""
    source_identity: str = ""
    sha256: str = ""

    def pixels(self) -> np.ndarray:
        """Returns the crop, RGB uint8 (H, W, 3).

        Raises:
          DataError: the bytes are not those that were written, or not a picture.
        """
        if hashlib.sha256(self.image).hexdigest() != self.sha256:
            raise DataError(f"record {self.video_id}#{self.frame}: image differs from its sha256")
        image = cv2.imdecode(np.frombuffer(self.image, np.uint8), cv2.IMREAD_COLOR_RGB)
        if image is None:
            raise DataError(f"record {self.video_id}#{self.frame}: image cannot be decoded")
        return image

    def mask_pixels(self) -> np.ndarray | None:
        """Returns the manipulated area, float32 (H, W) in 0..1, or None where it is not known."""
        if not self.mask:
            return None
        mask = cv2.imdecode(np.frombuffer(self.mask, np.uint8), cv2.IMREAD_GRAYSCALE)
        if mask is None:
            raise DataError(f"record {self.video_id}#{self.frame}: mask cannot be decoded")
        return mask.astype(np.float32) / 255.0

    def crop_landmarks(self, size: tuple[int, int]) -> np.ndarray:
        """Returns the landmarks (68, 2) in pixels of the stored crop of `size` (height, width)."""
        return to_crop(self.landmarks, self.crop, size)


def to_crop(points: np.ndarray, crop: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Returns frame points (N, 2) in pixels of a crop stored at `size` (height, width).

    Pixel centres are at whole numbers, as in OpenCV's resize: hence the half pixels.
    """
    x0, y0, x1, y1 = (float(v) for v in crop)
    scale = np.array([size[1] / (x1 - x0), size[0] / (y1 - y0)], np.float32)
    origin = np.array([x0, y0], np.float32)
    return ((points - origin + 0.5) * scale - 0.5).astype(np.float32)


def crop_matrix(crop: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Returns the (3, 3) matrix by which `to_crop` takes frame points to a stored crop's pixels."""
    x0, y0, x1, y1 = (float(v) for v in crop)
    return geometry.cut_matrix((x0, y0), (size[1] / (x1 - x0), size[0] / (y1 - y0)))


def make_record(
    picture: np.ndarray, landmarks: np.ndarray, mask: np.ndarray | None = None, **columns: Any
) -> Record:
    """Returns the Record of one face: crops, shrinks to 512 px at most, encodes once (JPEG q95).

    `picture` is the whole frame, RGB uint8 (H, W, 3), `landmarks` (68, 2) in its pixels, `mask`
    float (H, W) in 0..1; `columns` are the other fields. Raises DataError when the face lies
    outside.
    """
    height, width = picture.shape[:2]
    try:
        x0, y0, x1, y1 = crop = geometry.crop_box(landmarks, (height, width))
    except ValueError as error:
        raise DataError(f"{columns.get('video_id')}: {error}") from error
    image = _encode(_shrink(picture[y0:y1, x0:x1]))
    encoded_mask = b"" if mask is None else _encode_mask(_shrink(mask[y0:y1, x0:x1]))
    return Record(
        image=image,
        mask=encoded_mask,
        crop=np.array(crop, np.int32),
        frame_size=np.array([height, width], np.int32),
        landmarks=np.asarray(landmarks, np.float32),
        sha256=hashlib.sha256(image).hexdigest(),
        **columns,
    )


def _shrink(image: np.ndarray) -> np.ndarray:
    scale = LONGEST_SIDE / max(image.shape[:2])
    if scale >= 1.0:
        return image
    size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def _encode(image: np.ndarray) -> bytes:
    sampling = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY, *sampling]
    return cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)[1].tobytes()


def _encode_mask(mask: np.ndarray) -> bytes:
    return cv2.imencode(".png", np.rint(mask * 255.0).astype(np.uint8))[1].tobytes()
