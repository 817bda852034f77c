"""DeepFakeDetection: pairs by actor and scene; of several faces, the forged one is taken."""

import numpy as np
import pytest

from iid_jax.data import prepared
from iid_jax.errors import UsageError
from iid_jax.faces import video

REAL, FAKE = "original_sequences/actors/raw/videos", "manipulated_sequences/DeepFakeDetection"


@pytest.fixture(scope="module")
def tree(studio, tmp_path_factory):
    made = studio(tmp_path_factory.mktemp("dfd"))
    made.real(f"{REAL}/01__exit_phone_room.mp4", "01", "exit")
    made.real(f"{REAL}/02__exit_phone_room.mp4", "02", "exit")
    mask = f"{FAKE}/masks/videos/01_02__exit_phone_room__YVGY8LOK.mp4"
    made.fake(
        f"{FAKE}/raw/videos/01_02__exit_phone_room__YVGY8LOK.mp4", "01", "02", "exit", mask=mask
    )
    made.fake(f"{FAKE}/raw/videos/02_01__walking__0XUW13RW.mp4", "02", "01", "walking")
    made.meadow(f"{REAL}/notes.mp4")
    return made


@pytest.fixture(scope="module")
def catalog(tree, prepare_videos, tmp_path_factory):
    return prepare_videos("dfd/raw", tree.folder, tmp_path_factory.mktemp("data"))


def test_every_label_split_pair_and_identity(catalog, by_video):
    told = {name: tuple(columns.values()) for name, columns in by_video(catalog).items()}
    method, pristine = "DeepFakeDetection", "original/01__exit_phone_room"
    assert told == {
        pristine: ("test", 0, "original", "01", "", "", "raw"),
        "original/02__exit_phone_room": ("test", 0, "original", "02", "", "", "raw"),
        f"{method}/01_02__exit_phone_room__YVGY8LOK":
            ("test", 1, method, "01", "02", pristine, "raw"),
        f"{method}/02_01__walking__0XUW13RW": ("test", 1, method, "02", "01", "", "raw"),
    }  # fmt: skip
    report = [row[:2] for row in prepared.read_report(catalog.directory)]
    assert report == [
        (f"{method}/02_01__walking__0XUW13RW", "partner_missing"),
        (f"{REAL}/notes.mp4", "stray"),
    ]


def test_of_several_faces_the_one_under_the_mask_is_taken(tree, studio, prepare_videos, tmp_path):
    import shutil

    shutil.copytree(tree.folder, tmp_path / "tree")
    made = studio(tmp_path / "tree")
    name = "01_02__exit_phone_room__YVGY8LOK.mp4"
    path = tmp_path / "tree" / FAKE / "raw" / "videos" / name
    import drawn_videos

    for frame in video.FrameReader(path, range(6)):
        forged = drawn_videos.shots("01", "exit")[frame.index].landmarks
        # Somebody larger stands in a corner, where nothing was changed.
        larger = (forged - forged.min(axis=0)) * 1.3 * (1, 0.2) - 40
        made.know(frame.image, larger.astype(np.float32), forged)
    catalog = prepare_videos("dfd/raw", made.folder, tmp_path / "data")
    rows = np.flatnonzero(catalog.columns["video_id"] == f"DeepFakeDetection/{name[:-4]}")
    assert len(rows) == 4 and set(catalog.columns["quality"][rows]) <= {
        "several",
        "profile,several",
    }
    for row in rows:
        forged = drawn_videos.shots("01", "exit")[catalog.columns["frame"][row]].landmarks
        np.testing.assert_allclose(catalog.columns["landmarks"][row], forged)
    for frame in video.FrameReader(path, range(6)):  # as the other tests know it
        made.know(frame.image, drawn_videos.shots("01", "exit")[frame.index].landmarks)


def test_the_actors_must_be_there(tree, prepare_videos, tmp_path):
    with pytest.raises(UsageError, match="no original_sequences/actors/c40"):
        prepare_videos("dfd/c40", tree.folder, tmp_path / "data")
