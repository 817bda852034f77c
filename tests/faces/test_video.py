"""Videos: every frame under its true index, whatever is damaged, and no other file is opened."""

import contextlib
import os
import struct
from fractions import Fraction

import av
import numpy as np
import pytest

from iid_jax.faces import video
from iid_jax.faces.media import MediaError

FRAMES, SIDE, RATE = 40, 64, 25
# Level 6 * i of grey is frame i.
STEP = 6
NOTHING = contextlib.nullcontext()
KINDS = [("mp4", "libx264"), ("mkv", "libx264"), ("avi", "mpeg4"), ("webm", "libvpx")]


def write(path, codec="libx264", frames=FRAMES, size=(SIDE, SIDE), options=None):
    """A video whose frames tell their index by their brightness; key frames every 8."""
    grain = np.random.default_rng(0)
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=RATE)
        stream.width, stream.height = size
        stream.pix_fmt, stream.options = "yuv420p", {"g": "8"}
        # By default as many as there are cores, and what is written depends on it.
        stream.codec_context.thread_count = 2
        for index in range(frames):
            noise = grain.integers(-8, 8, (size[1], size[0], 1))
            image = np.full((size[1], size[0], 3), STEP * index) + noise
            frame = av.VideoFrame.from_ndarray(np.clip(image, 0, 255).astype(np.uint8))
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def shown(frame) -> float:
    return frame.image.mean() / STEP


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write(tmp_path_factory.mktemp("video") / "clip.mp4")


@pytest.mark.parametrize(("kind", "codec"), [*KINDS, ("avi", "libx264")])
def test_wanted_frames_come_with_their_index_and_time(kind, codec, tmp_path):
    path = write(tmp_path / f"clip.{kind}", codec)
    assert video.look(path) == (FRAMES, SIDE, SIDE, FRAMES / RATE)
    reader = video.FrameReader(path, [39, 0, 3, 20])
    frames = list(reader)
    assert [frame.index for frame in frames] == [0, 3, 20, 39]
    for frame in frames:
        assert abs(shown(frame) - frame.index) < 0.7
        assert frame.time == pytest.approx(frame.index / RATE)
        assert frame.image.shape == (SIDE, SIDE, 3) and frame.image.dtype == np.uint8
    assert reader.summary == "decoded 4 of 4 frames" and not reader.lost


@pytest.mark.parametrize(("kind", "codec"), KINDS)
def test_frames_at_a_rate_are_the_first_at_or_after_each_tick(kind, codec, tmp_path):
    path = write(tmp_path / f"clip.{kind}", codec)
    for rate in (1, 3.7, 5, RATE, 100):
        ticks = np.arange(0, (FRAMES - 1) / RATE + 1e-9, 1 / rate)
        expected = sorted({int(np.ceil(tick * RATE - 1e-6)) for tick in ticks})
        assert video.at_rate(path, rate) == expected


def test_frames_at_a_rate_follow_the_stamps_where_frames_are_unevenly_spaced(tmp_path):
    """A still of 2 s between moving parts, as screen recordings have."""
    path = tmp_path / "uneven.mp4"
    milliseconds = [0, 40, 80, 120, 2120, 2160, 2200, 2240, 2280]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE)
        stream.width = stream.height = SIDE
        stream.codec_context.time_base = Fraction(1, 1000)
        for stamp in milliseconds:
            frame = av.VideoFrame.from_ndarray(np.full((SIDE, SIDE, 3), 99, np.uint8))
            frame.pts, frame.time_base = stamp, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    times = [frame.time for frame in video.FrameReader(path, range(len(milliseconds)))]
    np.testing.assert_allclose(times, np.array(milliseconds) / 1000, atol=1e-3)
    assert video.at_rate(path, 10) == [0, 3, 4, 6]


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7])
@pytest.mark.parametrize(("kind", "codec"), KINDS)
def test_damage_costs_frames_and_shifts_none(kind, codec, share, tmp_path):
    path = write(tmp_path / f"clip.{kind}", codec)
    data = bytearray(path.read_bytes())
    start = int(share * len(data))
    data[start : start + 600] = b"\xa5" * 600
    path.write_bytes(data)
    if kind == "avi":  # what is left of it is numbered anew
        with pytest.raises(MediaError, match="frames are there") if share > 0.3 else NOTHING:
            list(video.FrameReader(path, range(FRAMES)))
        return
    reader = video.FrameReader(path, range(FRAMES))
    frames = list(reader)
    assert 10 < reader.decoded < FRAMES
    assert reader.decoded == len(frames) and reader.decoded + len(reader.lost) == FRAMES
    assert all(abs(shown(frame) - frame.index) < 0.7 for frame in frames)


def test_damaged_packets_are_counted(clip, tmp_path):
    data = bytearray(clip.read_bytes())
    start = data.index(b"mdat") + (len(data) - data.index(b"mdat")) // 2
    data[start : start + 400] = b"\xa5" * 400
    (tmp_path / "hurt.mp4").write_bytes(data)
    reader = video.FrameReader(tmp_path / "hurt.mp4", range(FRAMES))
    list(reader)
    assert reader.errors > 0
    assert reader.summary == (
        f"decoded {reader.decoded} of {FRAMES} frames, {reader.errors} damaged packets"
    )


def test_a_file_cut_short_gives_what_is_there(tmp_path):
    path = write(tmp_path / "clip.mp4", options={"movflags": "faststart"})
    data = path.read_bytes()
    path.write_bytes(data[: int(0.6 * len(data))])
    assert video.look(path).frames == FRAMES
    reader = video.FrameReader(path, range(FRAMES))
    frames = list(reader)
    assert 5 < len(frames) < FRAMES
    assert [f.index for f in frames] == [round(shown(f)) for f in frames]
    assert reader.lost == set(range(FRAMES)) - {f.index for f in frames}


def test_nothing_wanted_opens_nothing(tmp_path):
    assert list(video.FrameReader(tmp_path / "gone.mp4", [])) == []


def test_an_index_beyond_the_end_is_lost(clip):
    reader = video.FrameReader(clip, [0, 99])
    assert len(list(reader)) == 1 and reader.lost == {99}


def test_a_turned_picture_is_put_upright(tmp_path):
    path = write(tmp_path / "clip.mp4", size=(96, 64), frames=3)
    stored = next(iter(video.FrameReader(path, [1]))).image
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 4 + 40
    # (x, y) is shown at (-y, x): a quarter to the right, as telephones write it.
    data[matrix : matrix + 36] = struct.pack(">9i", 0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    upright = next(iter(video.FrameReader(path, [1]))).image
    np.testing.assert_array_equal(upright, np.rot90(stored, -1))


def reason_of(path, **limits) -> str:
    with pytest.raises(MediaError) as caught:
        video.look(path, video.Limits(**limits))
    assert "\n" not in str(caught.value)
    return caught.value.reason


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"size": 100}, "too_large"),
        ({"pixels": SIDE * SIDE - 1}, "too_large"),
        ({"seconds": 1.0}, "too_large"),
        ({"frames": FRAMES - 1}, "too_large"),
    ],
)
def test_limits_are_checked_on_the_header(clip, limits, reason):
    assert reason_of(clip, **limits) == reason
    at_the_limit = video.Limits(clip.stat().st_size, SIDE * SIDE, FRAMES / RATE, FRAMES)
    assert video.look(clip, at_the_limit).frames == FRAMES


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "empty"), (b"not a video at all", "unknown_format"), (None, "not_found")],
)
def test_what_is_no_video_is_refused(content, reason, tmp_path):
    if content is not None:
        (tmp_path / "x.mp4").write_bytes(content)
    assert reason_of(tmp_path / "x.mp4") == reason


def test_a_small_or_cut_off_or_silent_file_is_refused(clip, tmp_path):
    (tmp_path / "cut.mp4").write_bytes(clip.read_bytes()[:2000])
    assert reason_of(tmp_path / "cut.mp4") == "truncated"
    assert reason_of(write(tmp_path / "small.mp4", size=(64, 8), frames=2)) == "too_small"
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        sound.sample_rate = 44100
        container.mux(stream.encode(sound))
        container.mux(stream.encode())
    assert reason_of(tmp_path / "sound.mp4") == "no_video"


def test_a_playlist_opens_no_other_file(clip, tmp_path):
    for name in ("list.m3u8", "list.mp4"):
        path = tmp_path / name
        path.write_text(f"#EXTM3U\n#EXTINF:1,\n{clip}\n#EXT-X-ENDLIST\n")
        assert reason_of(path) == "unknown_format"


def test_a_numbered_name_is_a_name(clip, tmp_path):
    for number in range(3):
        (tmp_path / f"{number:03d}.mp4").write_bytes(clip.read_bytes())
    assert reason_of(tmp_path / "%03d.mp4") == "not_found"
    literal = tmp_path / "file:%03d.mp4"
    literal.write_bytes(clip.read_bytes())
    assert video.look(literal).frames == FRAMES


def test_pipes_and_folders_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    assert reason_of(tmp_path / "pipe.mp4") == "unreadable"
    assert reason_of(tmp_path) == "unreadable"


def test_real_videos_give_every_frame(shared_data):
    for path in sorted((shared_data / "videos").glob("*.mp4")):
        seen = video.look(path)
        wanted = np.linspace(0, seen.frames - 1, 8).astype(int)
        reader = video.FrameReader(path, wanted)
        frames = list(reader)
        assert [f.index for f in frames] == wanted.tolist()
        assert frames[0].image.shape == (seen.height, seen.width, 3)
        assert frames[-1].time == pytest.approx(seen.seconds, abs=0.1)
