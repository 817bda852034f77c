"""Safe decoding of videos: looked at before they are unpacked, frames by true index, losses told.

A frame's index is its place in presentation order, told from its time stamp: what cannot be
decoded shifts no other frame. After damage, frames up to the next key frame count as lost, since
decoders make them up from what they have.
"""

import contextlib
import dataclasses
import os
import stat
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import av
import numpy as np

from iid_jax.faces.media import MIN_SIDE, MediaError

SUFFIXES = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi")
_BUFFER = 1 << 20


@dataclasses.dataclass(frozen=True)
class Limits:
    """What is refused before a frame is decoded: bytes, pixels a frame, seconds, frames."""

    size: int = 16_000_000_000
    pixels: int = 36_000_000
    seconds: float = 6 * 3600.0
    frames: int = 1_000_000


LIMITS = Limits()


class Video(NamedTuple):
    """What a file's header says: frames, size in pixels as stored, seconds (0: it does not say)."""

    frames: int
    width: int
    height: int
    seconds: float


class Frame(NamedTuple):
    """A decoded frame: its index, its time in seconds since the first, RGB uint8 (H, W, 3)."""

    index: int
    time: float
    image: np.ndarray


def look(path: str | os.PathLike, limits: Limits = LIMITS) -> Video:
    """Returns what the header says; where it holds no frame count, packets are counted.

    Raises:
      MediaError: no local file of a known kind, damaged, or beyond the limits.
    """
    with _opened(Path(path), limits) as (container, stream):
        frames = stream.frames or _packets(container, stream, Path(path)).count
        return Video(frames, stream.width, stream.height, _seconds(container))


def at_rate(path: str | os.PathLike, rate: float, limits: Limits = LIMITS) -> list[int]:
    """Returns the indices of the frames at 0, 1/rate, 2/rate, ... seconds, each frame once.

    Of each such time the first frame that is not earlier. Where stamps don't tell, frames are
    taken to be evenly spaced.

    Raises:
      MediaError: see `look`.
    """
    with _opened(Path(path), limits) as (container, stream):
        packets = _packets(container, stream, Path(path))
        if packets.place:
            seconds = [float((s - packets.start) * stream.time_base) for s in packets.place]
            places = list(packets.place.values())
        else:
            spacing = 1 / float(stream.average_rate or stream.guessed_rate or rate)
            places = list(range(packets.count))
            seconds = [place * spacing for place in places]
    if not places:
        return []
    # Stamps are rounded to the container's clock.
    ticks = np.arange(0, int(seconds[-1] * rate + 1e-3) + 1) / rate - 1e-3 / rate
    return sorted({places[i] for i in np.searchsorted(seconds, ticks) if i < len(places)})


class FrameReader:
    """The frames of one video at the wanted indices, decoded once, in order.

    Iterating gives the frames that can be decoded. Afterwards `decoded` is their number, `lost`
    the wanted indices without a frame, `errors` the damaged packets.

    Raises:
      MediaError: while iterating; see `look`.
    """

    def __init__(self, path: str | os.PathLike, wanted: Collection[int], limits: Limits = LIMITS):
        self.path, self.limits = Path(path), limits
        self.lost = {int(index) for index in wanted}
        self.wanted, self.decoded, self.errors = len(self.lost), 0, 0
        self._broken = False

    @property
    def summary(self) -> str:
        """`decoded k of n frames`, with the damaged packets if there are any."""
        damage = f", {self.errors} damaged packets" if self.errors else ""
        return f"decoded {self.decoded} of {self.wanted} frames{damage}"

    def __iter__(self) -> Iterator[Frame]:
        if not self.lost:
            return
        with _opened(self.path, self.limits) as (container, stream):
            packets = _packets(container, stream, self.path)
        with _opened(self.path, self.limits) as (container, stream):
            last = max(self.lost)
            for count, frame in enumerate(self._frames(container, stream)):
                index = packets.place.get(frame.pts, -1) if packets.place else count
                if index in self.lost and self._whole(frame):
                    self.lost.remove(index)
                    self.decoded += 1
                    yield Frame(index, self._time(frame, packets), self._pixels(frame))
                if index >= last:
                    return
                if self.errors and not packets.place:
                    # Neither stamps nor the count tell where what follows belongs.
                    return

    def _frames(self, container: Any, stream: Any) -> Iterator[Any]:
        """All frames that the decoder gives; packets it refuses are counted."""
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets)
                frames = packet.decode()
            except StopIteration:
                return
            except av.error.FFmpegError:
                self.errors += 1
                self._broken = True
                continue
            yield from frames

    def _whole(self, frame: Any) -> bool:
        """Whether the frame is what was filmed, and not made up after damage."""
        self._broken = (self._broken and not frame.key_frame) or frame.is_corrupt
        return not self._broken

    def _time(self, frame: Any, packets: "_Packets") -> float:
        return float((frame.pts - packets.start) * frame.time_base) if packets.place else 0.0

    def _pixels(self, frame: Any) -> np.ndarray:
        # The header was checked, but a stream may change its size.
        if frame.width * frame.height > self.limits.pixels:
            raise MediaError("too_large", f"{self.path}: a frame of {frame.width}x{frame.height}")
        image = frame.to_ndarray(format="rgb24")
        turns = round(frame.rotation / 90) % 4
        return np.ascontiguousarray(np.rot90(image, turns)) if turns else image


@contextlib.contextmanager
def _opened(path: Path, limits: Limits) -> Iterator[tuple[Any, Any]]:
    """The container and its video stream, checked; the file is handed over as bytes.

    FFmpeg never sees a name: neither protocols nor playlists nor numbered names can be reached.
    """
    with _file(path, limits) as file:
        kind = _kind(file, path)
        try:
            container = av.open(
                _Nameless(file), format=kind, buffer_size=_BUFFER, metadata_errors="replace"
            )
        except (av.error.FFmpegError, ValueError) as error:
            raise MediaError("truncated", f"{path} is truncated or damaged: {error}") from error
        with container:
            if not container.streams.video:
                raise MediaError("no_video", f"{path} holds no video")
            stream = container.streams.video[0]
            _check(container, stream, path, limits)
            stream.codec_context.thread_count = 1  # processes share the cores
            yield container, stream


class _Nameless:
    """The bytes of a file without its name, from which FFmpeg might derive others."""

    def __init__(self, file: BinaryIO):
        self.read, self.seek, self.tell = file.read, file.seek, file.tell


@contextlib.contextmanager
def _file(path: Path, limits: Limits) -> Iterator[BinaryIO]:
    try:
        # A pipe would make opening wait for a writer.
        if not stat.S_ISREG(path.stat().st_mode):
            raise MediaError("unreadable", f"{path} is not a file")
        file = path.open("rb")
    except FileNotFoundError as error:
        raise MediaError("not_found", f"no such file: {path}") from error
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        raise MediaError("unreadable", f"{str(path)!r} cannot be read: {error}") from error
    with file:
        size = os.fstat(file.fileno()).st_size
        if size == 0:
            raise MediaError("empty", f"{path} is empty (0 bytes)")
        if size > limits.size:
            raise MediaError("too_large", f"{path}: {size} bytes; allowed: up to {limits.size}")
        yield file


def _kind(file: BinaryIO, path: Path) -> str:
    """FFmpeg's name of the container, told from the first bytes."""
    magic = file.read(16)
    file.seek(0)
    if magic[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip"):
        return "mov"
    if magic[:4] == b"\x1a\x45\xdf\xa3":
        return "matroska"
    if magic[:4] == b"RIFF" and magic[8:12] == b"AVI ":
        return "avi"
    allowed = "MP4, MOV, Matroska, WebM, AVI"
    raise MediaError(
        "unknown_format", f"{path} is not a video this package reads; allowed: {allowed}"
    )


def _check(container: Any, stream: Any, path: Path, limits: Limits) -> None:
    width, height, seconds = stream.width, stream.height, _seconds(container)
    if width * height > limits.pixels:
        raise MediaError(
            "too_large", f"{path}: {width}x{height} pixels; allowed: up to {limits.pixels} in all"
        )
    if min(width, height) < MIN_SIDE:
        raise MediaError(
            "too_small", f"{path}: {width}x{height} pixels; allowed: at least {MIN_SIDE} a side"
        )
    if seconds > limits.seconds or stream.frames > limits.frames:
        raise MediaError(
            "too_large",
            f"{path}: {seconds:.0f} s, {stream.frames} frames; "
            f"allowed: up to {limits.seconds:.0f} s, {limits.frames} frames",
        )


def _seconds(container: Any) -> float:
    return (container.duration or 0) / av.time_base


class _Packets(NamedTuple):
    """How many frames there are, and {time stamp: index}, empty where stamps don't tell."""

    count: int
    place: dict[int, int]
    start: int = 0


def _packets(container: Any, stream: Any, path: Path) -> _Packets:
    """Reads the packets' time stamps without decoding anything."""
    stamps: list[int | None] = []
    packets = container.demux(stream)
    with contextlib.suppress(av.error.FFmpegError):  # the rest of the file is missing
        stamps += [p.pts for p in packets if p.size and not p.is_discard]
    told = None not in stamps and len(set(stamps)) == len(stamps)
    # AVI's stamps only count the packets that are left.
    if (not told or container.format.name == "avi") and stream.frames not in (0, len(stamps)):
        raise MediaError(
            "truncated",
            f"{path}: {len(stamps)} of {stream.frames} frames are there, and nothing tells which",
        )
    if not told:
        return _Packets(len(stamps), {})
    ordered = sorted(stamps)
    places = list(range(len(ordered)))
    if container.format.name == "matroska":
        places = _on_grid(ordered, stream) or places
    start = ordered[0] if ordered else 0
    return _Packets(max(places, default=-1) + 1, dict(zip(ordered, places, strict=True)), start)


def _on_grid(stamps: list[int], stream: Any) -> list[int]:
    """Indices told by a constant frame rate; empty where the rate is not constant.

    Matroska keeps no table of its frames: of what damage took away only the gap in time tells.
    """
    rate = stream.average_rate
    if not rate:
        return []
    first, step = stream.start_time or 0, stream.time_base * rate
    exact = np.array([float((stamp - first) * step) for stamp in stamps])
    places = np.rint(exact).astype(int)
    steady = np.abs(exact - places).max(initial=0.0) < 0.25 and (np.diff(places) > 0).all()
    return places.tolist() if steady else []
