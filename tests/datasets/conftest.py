"""What the tests of builders share: small trees as downloaded, and columns by video."""

import json

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
