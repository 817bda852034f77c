"""How fast videos become records: videos per core-minute, and where the time goes.

  python benchmarks/prepare.py VIDEO... [--frames=32] [--height=720] [--seconds=10] [--json=FILE]

Each video is first written anew, H.264, 16:9 at the height: its picture in the middle, played to
and fro until the seconds are full. Then CPU time of this process, by stage, of one video after the
other, the median over rounds. One thread.
"""

import argparse
import itertools
import json
import statistics
import tempfile
import time
from pathlib import Path

import av
import cv2
import numpy as np

from iid_jax.data import clips, schema
from iid_jax.data.clips import Clip
from iid_jax.faces import choice, tracking, video

STAGES = ("look", "decode", "find", "record")


def main() -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("videos", nargs="+", type=Path)
    parser.add_argument("--frames", type=int, default=32)
    parser.add_argument("--height", type=int, default=720)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--landmarker", default=choice.DEFAULT)
    parser.add_argument("--json", type=Path, default=None)
    flags = parser.parse_args()
    cv2.setNumThreads(1)
    find = choice.choose(flags.landmarker)
    with tempfile.TemporaryDirectory() as folder:
        paths = [
            _enlarged(path, Path(folder, f"{i}.mp4"), flags.height, flags.seconds)
            for i, path in enumerate(flags.videos)
        ]
        rounds = [
            [_stages(path, flags.frames, find) for path in paths] for _ in range(flags.rounds)
        ]
    sums = [{stage: sum(row[stage] for row in row_of) for stage in STAGES} for row_of in rounds]
    measured = {stage: _rates([row[stage] for row in sums], len(paths)) for stage in STAGES}
    measured["all"] = _rates([sum(row.values()) for row in sums], len(paths))
    for name, row in measured.items():
        print(
            f"{name:8}{row['seconds_per_video']:8.2f} s a video"
            f"{row['videos_per_core_minute']:10.1f} videos per core-minute"
            f"  (rounds {row['least']:.2f} to {row['most']:.2f} s)"
        )
    if flags.json:
        flags.json.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
    return 0


def _rates(spent: list[float], videos: int) -> dict[str, float]:
    seconds = statistics.median(spent) / videos
    return {
        "seconds_per_video": seconds,
        "videos_per_core_minute": 60.0 / seconds,
        "least": min(spent) / videos,
        "most": max(spent) / videos,
    }


def _stages(path: Path, frames: int, find) -> dict[str, float]:
    """CPU seconds of one video by stage: look (frame count, sha256), decode, find, record."""
    clip = Clip(video_id="v", split="test", path=path.name)
    spent = dict.fromkeys(STAGES, 0.0)
    before = time.process_time()

    def lap(stage: str) -> None:
        nonlocal before
        now = time.process_time()
        spent[stage] += now - before
        before = now

    indices = clips.wanted(clip, (clip,), path.parent, frames)
    clips.digest(clip, path.parent)
    lap("look")
    follower = tracking.Follower()
    for frame in clips.read(clip, path.parent, indices):
        lap("decode")
        faces = find(frame.image)
        lap("find")
        face, _ = follower.choose(faces) or (None, False)
        if face is not None:
            schema.make_record(
                frame.image,
                face.landmarks,
                label=schema.REAL,
                method=schema.ORIGINAL,
                split="test",
                video_id="v",
                identity="",
                frame=frame.index,
            )
        lap("record")
    lap("decode")
    return spent


def _enlarged(path: Path, target: Path, height: int, seconds: float) -> Path:
    """Writes the video 16:9 at the height, its picture in the middle."""
    count = video.look(path).frames
    pictures = [frame.image for frame in video.FrameReader(path, range(count))]
    shown = itertools.cycle([*pictures, *pictures[-2:0:-1]])
    canvas = np.full((height, height * 16 // 9, 3), 96, np.uint8)
    with av.open(str(target), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.height, stream.width = canvas.shape[:2]
        stream.pix_fmt, stream.options = "yuv420p", {"crf": "23", "preset": "veryfast"}
        for picture in itertools.islice(shown, round(seconds * 30)):
            scale = height / picture.shape[0]
            large = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
            left = (canvas.shape[1] - large.shape[1]) // 2
            canvas[:, left : left + large.shape[1]] = large[:height]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(canvas)))
        container.mux(stream.encode())
    return target


if __name__ == "__main__":
    raise SystemExit(main())
