"""What all tests share: one thread per test process, warm compilations, and where data lies."""

import fcntl
import hashlib
import importlib.util
import json
import os
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).parents[1]
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")
PRACTICE_PEOPLE = 40

# Before anything imports JAX. Processes started by a test inherit all of it.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("OMP_NUM_THREADS", "1")
if WORKER != "main":
    os.environ["XLA_FLAGS"] = (
        os.environ.get("XLA_FLAGS", "") + " --xla_cpu_multi_thread_eigen=false"
    ).strip()
# A cache for each test process: JAX does not lock it.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(REPOSITORY / ".cache" / "jax" / WORKER))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.5")

import cv2  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402

from iid_jax import memory  # noqa: E402

cv2.setNumThreads(1)
memory.keep_freed()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real photographs and videos that tests may use where it exists."""
    folder = Path(os.environ.get("IID_SHARED_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (folder / "lfw").is_dir():
        pytest.skip(f"no photographs under {folder}; IID_SHARED_DATA names another folder")
    return folder


@pytest.fixture
def in_float32(monkeypatch):
    """A CPU without bfloat16: what `dtype=auto` asks for is float32, as numbers are given in."""
    from iid_jax.models import xla

    monkeypatch.setattr(xla, "_cpu_has_bfloat16", lambda: False)


@pytest.fixture(scope="session")
def golden():
    """Reads numbers of the reference implementation: `golden("anchors")` -> {name: array}."""

    def read(name: str) -> dict[str, np.ndarray]:
        path = REPOSITORY / "tests" / "golden" / f"{name}.npz"
        with np.load(path, allow_pickle=False) as stored:
            return dict(stored)

    return read


@pytest.fixture(scope="session")
def weights_rule():
    """The module tests/golden_weights.py (test folders are no packages: loaded by its path)."""
    path = REPOSITORY / "tests" / "golden_weights.py"
    spec = importlib.util.spec_from_file_location("golden_weights", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def practice_dir(tmp_path_factory) -> Path:
    """A --data_dir with a small practice_faces, made once for all: copy it to change it."""
    from iid_jax.data import builder

    root = tmp_path_factory.getbasetemp()
    root = root if WORKER == "main" else root.parent
    with (root / "practice.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        settings = builder.Settings(limit=PRACTICE_PEOPLE)
        builder.prepare("practice_faces", root / "data", settings, jobs=1, quiet=True)
    return root / "data"


@pytest.fixture(scope="session")
def practice(practice_dir):
    """The catalog of the small practice_faces."""
    from iid_jax.data.catalog import open_catalog

    return open_catalog("practice_faces", practice_dir)


@pytest.fixture(scope="session")
def run_dir(tmp_path_factory) -> Path:
    """The workdir of a run: an untrained detector whose scores differ from face to face."""
    from iid_jax import config_file
    from iid_jax.models import detector
    from iid_jax.models.initial import initialise
    from iid_jax.training.checkpoints import Checkpoints

    config = config_file.load(str(REPOSITORY / "configs" / "quickstart.py"))
    module, spec, _ = detector.build_detector(config.model)
    folder = tmp_path_factory.mktemp("trained")
    info = {"config": config.to_dict(), "input_spec": spec.to_dict()}
    with Checkpoints(folder) as checkpoints:
        checkpoints.save(3, initialise(module, spec, seed=0), info, 0.5)
    (folder / "config.json").write_text("{}", encoding="utf-8")
    return folder


class DrawnLandmarker:
    """A landmarker that knows the faces of certain pictures: upright and mirrored."""

    fingerprint = "drawn/test"

    def __init__(self):
        self.known: dict[str, list] = {}

    def know(self, picture: np.ndarray, *landmarks: np.ndarray) -> None:
        """Remembers the faces (68, 2) of an RGB uint8 picture."""
        from iid_jax import geometry

        width = picture.shape[1]
        mirrored = [geometry.mirror_landmarks(points, width) for points in landmarks]
        self.know_as_it_is(picture, *landmarks)
        self.know_as_it_is(picture[:, ::-1], *mirrored)

    def know_as_it_is(self, picture: np.ndarray, *landmarks: np.ndarray) -> None:
        from iid_jax.faces.landmarks import Face

        def face(points):
            box = np.concatenate([points.min(axis=0), points.max(axis=0)])
            return Face(box.astype(np.float32), points.astype(np.float32), 1.5)

        self.known[self._key(picture)] = [face(points) for points in landmarks]

    def __call__(self, image: np.ndarray) -> list:
        return self.known.get(self._key(image), [])

    def _key(self, picture: np.ndarray) -> str:
        return hashlib.sha256(np.ascontiguousarray(picture).tobytes()).hexdigest()


class PhotoTree(NamedTuple):
    """A folder `<person>/*.jpg` of drawn photographs, and what finds the faces on them."""

    folder: Path
    find: DrawnLandmarker


@pytest.fixture(scope="session")
def photo_tree(tmp_path_factory) -> PhotoTree:
    """Fourteen drawn people with four photographs each, 192 px: copy it to change it."""
    from PIL import Image

    from iid_jax.faces import drawn, media

    tree = PhotoTree(tmp_path_factory.mktemp("photographs"), DrawnLandmarker())
    for number in range(14):
        rng = np.random.default_rng(number)
        person = drawn.draw_person(rng)
        folder = tree.folder / f"Person_{number:02d}"
        folder.mkdir()
        for i, shot in enumerate(drawn.draw_video(person, rng, 4)):
            path = folder / f"{i}.jpg"
            Image.fromarray(shot.image).save(path, quality=92)
            tree.find.know(media.read_image(path), shot.landmarks)
    return tree


@pytest.fixture(scope="session")
def studio(tmp_path_factory):
    """Makes a Studio for a folder: `studio(folder)`; see `drawn_videos.py`."""
    faces = tmp_path_factory.mktemp("faces")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(REPOSITORY / "tests"))
        patch.setenv("DRAWN_FACES", str(faces))
        import drawn_videos

        yield drawn_videos.Studio


@pytest.fixture(scope="session")
def prepare_videos(studio):
    """Prepares a video data set with the landmarker of the Studio; its catalog."""
    from iid_jax.data import builder

    def prepare(name, source, data_dir, jobs=1, **options):
        options = {"frames": 4, "landmarker": "drawn_videos:find", **options}
        settings = builder.Settings(source=str(source), **options)
        return builder.prepare(name, data_dir, settings, jobs=jobs, quiet=True)

    return prepare


@pytest.fixture(scope="session")
def faceforensics_tree(studio, tmp_path_factory):
    """FaceForensics++ as downloaded, four pairs: two in train, one in val, one in test."""
    made = studio(tmp_path_factory.mktemp("ff") / "FaceForensics++")
    pairs = {"train": [("071", "054"), ("087", "081")], "val": [("720", "672")]}
    pairs["test"] = [("953", "974")]
    for split, listed in pairs.items():
        # People edit these on Windows.
        made.text(f"{split}.json", json.dumps(listed, indent=2).replace("\n", "\r\n"))
        for pair in listed:
            for target, source in (pair, pair[::-1]):
                made.real(f"original_sequences/youtube/c23/videos/{target}.mp4", target)
                for method, kind in (("Deepfakes", "affine_swap"), ("FaceSwap", "poisson_swap")):
                    folder, name = f"manipulated_sequences/{method}", f"{target}_{source}.mp4"
                    mask = f"{folder}/masks/videos/{name}" if method == "Deepfakes" else ""
                    # FaceSwap's are shorter than their originals, as many are.
                    made.fake(
                        f"{folder}/c23/videos/{name}", target, source, mask=mask, method=kind,
                        frames=6 if method == "Deepfakes" else 5,
                    )  # fmt: skip
    return made


@pytest.fixture(scope="session")
def celeb_df_tree(studio, tmp_path_factory):
    """Celeb-DF v2 as downloaded: four celebrities, two other people, three test videos."""
    made = studio(tmp_path_factory.mktemp("celeb") / "Celeb-DF-v2")
    for number in range(4):
        name, donor = f"id{number}", f"id{(number + 1) % 4}"
        for clip in ("0000", "0001"):
            made.real(f"Celeb-real/{name}_{clip}.mp4", name, clip)
        made.fake(f"Celeb-synthesis/{name}_{donor}_0000.mp4", name, donor, "0000")
    made.real("YouTube-real/00170.mp4", "y0")
    made.real("YouTube-real/00011.mp4", "y1")
    lines = ["1 YouTube-real/00170.mp4", "1 Celeb-real/id0_0000.mp4"]
    made.text(
        "List_of_testing_videos.txt", "\r\n".join([*lines, "0 Celeb-synthesis/id0_id1_0000.mp4"])
    )
    return made


@pytest.fixture
def told(capsys):
    """Runs a command in this process; (exit code, the one line on stderr without its prefix)."""
    from iid_jax.main import main

    def run(*argv) -> tuple[int, str]:
        capsys.readouterr()
        code = main([str(word) for word in argv])
        text = capsys.readouterr().err
        assert text.startswith("iid_jax: ") and text.endswith("\n") and text.count("\n") == 1, text
        return code, text.removeprefix("iid_jax: ").strip()

    return run
