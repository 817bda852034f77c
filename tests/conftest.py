"""What the tests share: golden numbers, a small practice data set, real photographs."""

import os
from pathlib import Path

import numpy as np
import pytest

os.environ.setdefault("JAX_PLATFORMS", "cpu")

ROOT = Path(__file__).parent.parent
GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="session")
def golden():
    """Returns a loader of golden arrays by file name, e.g. golden("anchors.npz")."""

    def load(name):
        with np.load(GOLDEN / name, allow_pickle=False) as stored:
            return {key: stored[key] for key in stored.files}

    return load


@pytest.fixture(scope="session")
def shared_data():
    """Returns the folder with real photographs and videos, which is not part of the repository."""
    folder = Path(os.environ.get("IID_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real photographs here: {folder} is absent (set IID_SHARED_DATA)")
    return folder


@pytest.fixture(scope="session")
def practice_dir(tmp_path_factory):
    """Returns a data folder that holds practice_faces of 40 people."""
    from iid_jax.data import builder

    folder = tmp_path_factory.mktemp("practice")
    settings = builder.Settings(limit=40)
    builder.prepare("practice_faces", folder, settings, jobs=1, quiet=True)
    return folder


@pytest.fixture(scope="session")
def practice(practice_dir):
    """Returns the catalog of the small practice data set."""
    from iid_jax.data.catalog import open_catalog

    return open_catalog("practice_faces", practice_dir)
