"""Celeb-DF: the published list is read as it is meant, and no test video gets into training."""

import shutil

import pytest

from iid_jax.data import prepared
from iid_jax.errors import DataError, UsageError


@pytest.fixture(scope="module")
def catalog(celeb_df_tree, prepare_videos, tmp_path_factory):
    # Seed 1 holds out the celebrity id3 for val.
    return prepare_videos("celeb_df/v2", celeb_df_tree.folder, tmp_path_factory.mktemp("d"), seed=1)


@pytest.fixture
def tree(celeb_df_tree, studio, tmp_path):
    shutil.copytree(celeb_df_tree.folder, tmp_path / "tree")
    return studio(tmp_path / "tree")


COLUMNS = ("split", "label", "method", "identity", "source_identity", "pristine_id", "compression")


def celebrity(split, identity):
    return dict(zip(COLUMNS, (split, 0, "original", identity, "", "", ""), strict=True))


def fake(split, target, donor, pristine=True):
    pristine_id = f"Celeb-real/{target}_0000" if pristine else ""
    values = (split, 1, "Celeb-synthesis", target, donor, pristine_id, "")
    return dict(zip(COLUMNS, values, strict=True))


def test_every_label_split_pair_and_identity(catalog, by_video):
    assert by_video(catalog) == {
        "Celeb-real/id0_0000": celebrity("test", "id0"),
        "Celeb-real/id0_0001": celebrity("train", "id0"),
        "Celeb-real/id1_0000": celebrity("train", "id1"),
        "Celeb-real/id1_0001": celebrity("train", "id1"),
        "Celeb-real/id2_0000": celebrity("train", "id2"),
        "Celeb-real/id2_0001": celebrity("train", "id2"),
        "Celeb-real/id3_0000": celebrity("val", "id3"),
        "Celeb-real/id3_0001": celebrity("val", "id3"),
        "YouTube-real/00170": celebrity("test", ""),
        "YouTube-real/00011": celebrity("train", ""),
        "Celeb-synthesis/id0_id1_0000": fake("test", "id0", "id1"),
        "Celeb-synthesis/id1_id2_0000": fake("train", "id1", "id2"),
        "Celeb-synthesis/id2_id3_0000": fake("train", "id2", "id3"),
        "Celeb-synthesis/id3_id0_0000": fake("val", "id3", "id0"),
    }
    assert prepared.read_report(catalog.directory) == []


def test_fake_and_pristine_give_the_same_frames(catalog, frames_of):
    assert frames_of(catalog, "Celeb-synthesis/id1_id2_0000") == [0, 2, 3, 5]
    rows = catalog.select(label=1)
    assert len(rows) == 16 and (catalog.pristine_of(rows) >= 0).all()


def test_a_training_fake_of_a_test_video_is_not_paired(tree, prepare_videos, by_video, tmp_path):
    tree.fake("Celeb-synthesis/id0_id2_0000.mp4", "id0", "id2", "0000")
    catalog = prepare_videos("celeb_df/v2", tree.folder, tmp_path / "data", seed=1)
    assert by_video(catalog)["Celeb-synthesis/id0_id2_0000"] == fake("train", "id0", "id2", False)
    assert prepared.read_report(catalog.directory) == [
        ("Celeb-synthesis/id0_id2_0000", "partner_elsewhere",
         "Celeb-real/id0_0000 is in test; kept as untouched")
    ]  # fmt: skip


def test_variants_of_the_folders_are_taken(tree, prepare_videos, catalog, tmp_path):
    for name in ("Celeb-real", "Celeb-synthesis", "YouTube-real"):
        place = tree.folder / name
        place.rename(tmp_path / "moved")
        place.mkdir()
        (tmp_path / "moved").rename(place / "videos")
    (tree.folder / "YouTube-real").rename(tree.folder / "Youtube-real")
    again = prepare_videos("celeb_df/v2", tree.folder, tmp_path / "data", seed=1)
    assert again.fingerprint == catalog.fingerprint


def test_a_listed_video_that_is_missing_is_named(tree, prepare_videos, tmp_path):
    path = tree.folder / "List_of_testing_videos.txt"
    path.write_text(path.read_text() + "\n0 Celeb-synthesis/id9_id8_0003.mp4\n")
    with pytest.raises(DataError, match=r"1 of 15 videos .*Celeb-synthesis/id9_id8_0003 \(missing"):
        prepare_videos("celeb_df/v2", tree.folder, tmp_path / "data")
    catalog = prepare_videos("celeb_df/v2", tree.folder, tmp_path / "data", max_bad=10)
    assert catalog.manifest["left_out"] == {"missing": 1}


@pytest.mark.parametrize(
    "line", ["0 YouTube-real/00170.mp4", "1 Celeb-synthesis/id0_id1_0000.mp4", "label,name", "1"]
)
def test_a_list_with_inverted_labels_is_refused(line, tree, prepare_videos, tmp_path):
    tree.text("List_of_testing_videos.txt", line)
    with pytest.raises(DataError, match="1 for real and 0 for fake"):
        prepare_videos("celeb_df/v2", tree.folder, tmp_path / "data")


def test_without_the_list_nothing_is_made(tree, prepare_videos, tmp_path):
    (tree.folder / "List_of_testing_videos.txt").unlink()
    with pytest.raises(UsageError, match=r"List_of_testing_videos\.txt is missing"):
        prepare_videos("celeb_df/v2", tree.folder, tmp_path / "data")


def test_the_version_must_be_said(tree, prepare_videos, tmp_path):
    with pytest.raises(UsageError, match=r"celeb_df has no configuration 'default'.*v1, v2"):
        prepare_videos("celeb_df", tree.folder, tmp_path / "data")
