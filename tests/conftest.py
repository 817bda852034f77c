"""What all tests share: one thread per test process, warm compilations, and where data lies."""

import fcntl
import os
from pathlib import Path

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

cv2.setNumThreads(1)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real photographs and videos that tests may use where it exists."""
    folder = Path(os.environ.get("IID_SHARED_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (folder / "lfw").is_dir():
        pytest.skip(f"no photographs under {folder}; IID_SHARED_DATA names another folder")
    return folder


@pytest.fixture(scope="session")
def golden():
    """Reads numbers of the reference implementation: `golden("anchors")` -> {name: array}."""

    def read(name: str) -> dict[str, np.ndarray]:
        path = REPOSITORY / "tests" / "golden" / f"{name}.npz"
        with np.load(path, allow_pickle=False) as stored:
            return dict(stored)

    return read


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
