"""What the tests of builders share: small trees as downloaded, and columns by video."""

import numpy as np
import pytest

COLUMNS = ("split", "label", "method", "identity", "source_identity", "pristine_id", "compression")


@pytest.fixture(scope="session")
def by_video():
    """Returns {video_id: its columns} of a catalog; every record of a video must agree."""

    def collect(catalog) -> dict[str, dict]:
        found: dict[str, dict] = {}
        for row, video_id in enumerate(catalog.columns["video_id"].tolist()):
            seen = {c: np.asarray(catalog.columns[c])[row].item() for c in COLUMNS}
            assert found.setdefault(video_id, seen) == seen
        return found

    return collect


@pytest.fixture(scope="session")
def frames_of():
    """Returns the frame indices of a video in a catalog, ascending."""

    def collect(catalog, video_id: str) -> list[int]:
        rows = catalog.columns["video_id"] == video_id
        return sorted(catalog.columns["frame"][rows].tolist())

    return collect
