"""Short videos of drawn people for tests, and a landmarker that knows the faces in them.

The landmarker is `drawn_videos:find`, also in other processes: the faces of a decoded frame lie in
the folder $DRAWN_FACES under the frame's sha256.
"""

import functools
import hashlib
import os
import signal
import time
from pathlib import Path

import av
import numpy as np

from iid_jax import geometry
from iid_jax.faces import drawn, video
from iid_jax.forgery.manipulations import MANIPULATIONS

FACES, SLOW = "DRAWN_FACES", "DRAWN_SLOW"


def find(image: np.ndarray) -> list[np.ndarray]:
    """Returns the landmarks (68, 2) of the faces in a frame that a Studio wrote."""
    time.sleep(float(os.environ.get(SLOW, 0)))
    path = Path(os.environ[FACES], f"{_key(image)}.npy")
    if path.with_suffix(".crash").exists():
        os.kill(os.getpid(), signal.SIGSEGV)
    return list(np.load(path)) if path.is_file() else []


find.fingerprint = "drawn/test"


def nobody(image: np.ndarray) -> list[np.ndarray]:
    """Finds no face."""
    return []


def _key(image: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(image).tobytes()).hexdigest()


@functools.cache
def shots(person: str, scene: str = "", frames: int = 6) -> list[drawn.Shot]:
    """Returns the frames of a clip of a person, RGB uint8 (192, 192, 3), with their landmarks."""
    somebody = drawn.draw_person(_rng("person", person))
    return drawn.draw_video(somebody, _rng("clip", person, scene), frames)


def _rng(*words: str) -> np.random.Generator:
    digest = hashlib.sha256("/".join(words).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8]))


def write_video(path: Path, pictures: list[np.ndarray], rate: int = 25) -> Path:
    """Writes RGB pictures as H.264; returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt, stream.options = "yuv420p", {"crf": "16", "preset": "ultrafast"}
        # By default as many as there are cores, and what is written depends on it.
        stream.codec_context.thread_count = 2
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        container.mux(stream.encode())
    return path


class Studio:
    """Writes videos below a folder and remembers the faces in them."""

    def __init__(self, folder: Path):
        self.folder = folder

    def real(self, name: str, person: str, scene: str = "", frames: int = 6) -> Path:
        """Writes a genuine video of a person."""
        taken = shots(person, scene, frames)
        return self._write(name, [s.image for s in taken], [s.landmarks for s in taken])

    def fake(
        self,
        name: str,
        target: str,
        donor: str,
        scene: str = "",
        frames: int = 6,
        mask: str = "",
        method: str = "affine_swap",
    ) -> Path:
        """Writes the target's video with the donor's face, and a video `mask` of where it is."""
        taken, rng = shots(target, scene, frames), _rng(name)
        pictures, areas = [], []
        for shot, other in zip(taken, shots(donor, "", frames), strict=True):
            made = MANIPULATIONS[method](
                shot.image, shot.landmarks, other.image, other.landmarks, rng
            )
            pictures.append(made.image)
            areas.append(np.repeat(np.rint(made.mask * 255).astype(np.uint8)[..., None], 3, 2))
        if mask:
            write_video(self.folder / mask, areas)
        return self._write(name, pictures, [s.landmarks for s in taken])

    def meadow(self, name: str, frames: int = 6) -> Path:
        """Writes a video without a face."""
        green = [np.full((192, 192, 3), (40, 120 + i, 40), np.uint8) for i in range(frames)]
        return write_video(self.folder / name, green)

    def deadly(self, name: str, person: str) -> Path:
        """Writes a genuine video on whose frames the landmarker crashes, with its process."""
        path = self.real(name, person, "deadly")
        for frame in video.FrameReader(path, range(6)):
            Path(os.environ[FACES], f"{_key(frame.image)}.crash").touch()
        return path

    def text(self, name: str, content: str) -> Path:
        """Writes a text file."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode())
        return path

    def _write(self, name: str, pictures: list, landmarks: list) -> Path:
        path = write_video(self.folder / name, pictures)
        for frame in video.FrameReader(path, range(len(pictures))):
            self.know(frame.image, landmarks[frame.index])
        return path

    def know(self, image: np.ndarray, *landmarks: np.ndarray) -> None:
        """Remembers the faces (68, 2) of a picture as it is decoded, and of its mirror image."""
        mirrored = [geometry.mirror_landmarks(points, image.shape[1]) for points in landmarks]
        for picture, faces in ((image, landmarks), (image[:, ::-1], mirrored)):
            np.save(Path(os.environ[FACES], _key(picture)), np.stack(faces))
