"""Clips: what a builder of a video data set lists, and which of their frames are taken."""

import dataclasses
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from iid_jax.data import schema
from iid_jax.faces import media, video

Image = tuple[int, str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Clip:
    """One video of a data set: what is known of it without opening it.

    `path` and `mask` (a video of the manipulated area) are below the source folder; a clip of
    single pictures has `images` instead, (index, path) each. The other fields are a Record's.
    """

    video_id: str
    split: str
    label: int = schema.REAL
    method: str = schema.ORIGINAL
    path: str = ""
    images: tuple[Image, ...] = ()
    mask: str = ""
    identity: str = ""
    source_identity: str = ""
    pristine_id: str = ""
    compression: str = ""

    def files(self) -> list[str]:
        """Returns the paths of all files it is made from."""
        return [self.path] * bool(self.path) + [path for _, path in self.images]


def lengths(clip: Clip, source: Path) -> np.ndarray:
    """Returns the indices of the frames there are, ascending.

    Raises:
      MediaError: the video cannot be opened.
    """
    if clip.images:
        return np.array(sorted(index for index, _ in clip.images), np.int64)
    return np.arange(video.look(source / clip.path).frames)


def wanted(clip: Clip, group: Sequence[Clip], source: Path, frames: int) -> list[int]:
    """Returns the frames to take: `frames` evenly over what all of the group have in common.

    A group is a pristine video and its fakes; all give the same indices. A video of fewer than
    `frames` frames shortens no other; it gives those of the others' that it has.

    Raises:
      MediaError: the clip cannot be opened; what of the group cannot is left aside.
    """
    own = lengths(clip, source)
    there = [own]
    for other in group:
        try:
            there += [lengths(other, source)] if other != clip else []
        except media.MediaError:
            continue  # it tells when its own turn comes
    enough = min(frames, max(map(len, there)))
    shared = None
    for indices in there:
        if len(indices) >= enough:
            shared = indices if shared is None else np.intersect1d(shared, indices)
    chosen = np.intersect1d(evenly(shared, frames), own)
    return (chosen if len(chosen) else evenly(own, frames)).tolist()


def evenly(indices: np.ndarray, count: int) -> np.ndarray:
    """Returns `count` of the indices, in the middle of equal parts; all where there are fewer."""
    if len(indices) <= count:
        return indices
    return indices[((np.arange(count) + 0.5) * len(indices) / count).astype(int)]


class ImageReader:
    """Reads the wanted pictures of a clip as `video.FrameReader` reads frames."""

    def __init__(self, clip: Clip, source: Path, indices: Sequence[int]):
        self._paths, self._source = dict(clip.images), source
        self.lost = set(indices)
        self.decoded, self._count, self._damage = 0, len(self.lost), ""

    @property
    def summary(self) -> str:
        """`decoded k of n pictures`, with what was wrong with the first of the others."""
        return f"decoded {self.decoded} of {self._count} pictures{self._damage}"

    def __iter__(self) -> Iterator[video.Frame]:
        for index in sorted(self.lost):
            try:
                image = media.read_image(self._source / self._paths[index])
            except media.MediaError as error:
                self._damage = self._damage or f": {error}"
                continue
            self.lost.remove(index)
            self.decoded += 1
            yield video.Frame(index, 0.0, image)


def read(clip: Clip, source: Path, indices: Sequence[int]) -> ImageReader | video.FrameReader:
    """Returns the reader of the clip's frames at these indices."""
    if clip.images:
        return ImageReader(clip, source, indices)
    return video.FrameReader(source / clip.path, indices)


def masks(clip: Clip, source: Path, indices: Sequence[int]) -> dict[int, np.ndarray]:
    """Returns the manipulated areas by frame, float32 (H, W) in 0..1; {} where there are none.

    Raises:
      MediaError: the video of masks cannot be opened.
    """
    if not clip.mask:
        return {}
    frames = video.FrameReader(source / clip.mask, indices)
    return {frame.index: frame.image.max(axis=2).astype(np.float32) / 255.0 for frame in frames}


def fitted(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray | None:
    """Returns the mask at `size` (height, width), None where it has another shape of picture."""
    height, width = mask.shape
    if (height, width) == size:
        return mask
    if abs(width * size[0] / (height * size[1]) - 1.0) > 0.01:
        return None
    return cv2.resize(mask, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)


def digest(clip: Clip, source: Path) -> str:
    """Returns the sha256 over the bytes of the clip's files."""
    whole = hashlib.sha256()
    for name in clip.files():
        with (source / name).open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()


def hold_out(clips: Sequence[Clip], share: float, seed: int) -> list[Clip]:
    """Returns the clips with about `share` of the training ones moved to the split `val`.

    For data sets without a published validation split. Who or what a clip was filmed of goes as a
    whole: all clips of an `identity` (of a fake: the target), else a pristine video and its fakes.
    Of those with fakes and of those without, the same share; of those with fakes at least one.
    """
    training = [clip for clip in clips if clip.split == "train"]
    keys = {_filmed(clip) for clip in training}
    faked = {_filmed(clip) for clip in training if clip.label == schema.FAKE}
    drawn = set(_drawn(faked, share, seed, least=1)) | set(_drawn(keys - faked, share, seed))
    return [
        dataclasses.replace(clip, split="val")
        if clip.split == "train" and _filmed(clip) in drawn
        else clip
        for clip in clips
    ]


def _filmed(clip: Clip) -> str:
    return clip.identity or clip.pristine_id or clip.video_id


def _drawn(keys: set[str], share: float, seed: int, least: int = 0) -> list[str]:
    """A share of the keys, in an order that one key more or less does not turn over."""
    ordered = sorted(keys, key=lambda key: hashlib.sha256(f"{seed}/{key}".encode()).digest())
    return ordered[: max(round(share * len(ordered)), least)]
