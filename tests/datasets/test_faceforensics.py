"""FaceForensics++: pairs of the split files, in both directions, under every method."""

import shutil

import numpy as np
import pytest

from iid_jax.data import prepared, schema
from iid_jax.errors import DataError, UsageError

SPLIT = {"071": "train", "054": "train", "087": "train", "081": "train"}
SPLIT |= {"720": "val", "672": "val", "953": "test", "974": "test"}
OTHER = {"071": "054", "087": "081", "720": "672", "953": "974"}
OTHER |= {b: a for a, b in OTHER.items()}


@pytest.fixture(scope="module")
def catalog(faceforensics_tree, prepare_videos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    return prepare_videos("faceforensics/c23", faceforensics_tree.folder, folder)


@pytest.fixture
def tree(faceforensics_tree, studio, tmp_path):
    shutil.copytree(faceforensics_tree.folder, tmp_path / "tree")
    return studio(tmp_path / "tree")


def test_every_label_split_pair_and_identity(catalog, by_video):
    expected = {}
    for target, split in SPLIT.items():
        source = OTHER[target]
        common = {"split": split, "identity": target, "compression": "c23"}
        real = {"label": schema.REAL, "method": "original", "source_identity": ""}
        expected[f"original/{target}"] = {**common, **real, "pristine_id": ""}
        for method in ("Deepfakes", "FaceSwap"):
            fake = {"label": schema.FAKE, "method": method, "source_identity": source}
            expected[f"{method}/{target}_{source}"] = {
                **common, **fake, "pristine_id": f"original/{target}"
            }  # fmt: skip
    assert by_video(catalog) == expected
    assert len(catalog) == 4 * len(expected)
    assert prepared.read_report(catalog.directory) == []


def test_a_shorter_fake_decides_the_frames_of_its_original(catalog, frames_of):
    for video_id in ("FaceSwap/071_054", "Deepfakes/071_054", "original/071"):
        assert frames_of(catalog, video_id) == [0, 1, 3, 4]
    assert (catalog.pristine_of(catalog.select(label=schema.FAKE)) >= 0).all()


def test_masks_are_those_published_and_lie_on_what_changed(catalog):
    deepfakes = catalog.select(methods=("Deepfakes",), label=schema.FAKE)
    for row, partner in zip(deepfakes, catalog.pristine_of(deepfakes), strict=True):
        fake, real = catalog.read(row), catalog.read(partner)
        mask = fake.mask_pixels()
        assert mask.shape == fake.pixels().shape[:2]
        changed = np.abs(fake.pixels().astype(int) - real.pixels()).mean(axis=2)
        assert changed[mask > 0.9].mean() > 4 * changed[mask < 0.02].mean()
    assert catalog.read(catalog.select(methods=("FaceSwap",), label=1)[0]).mask == b""


def test_raw_is_also_called_c0_and_videos_may_lie_without_their_folder(
    tree, prepare_videos, tmp_path
):
    for place in list(tree.folder.rglob("c23")):
        (place / "videos").rename(place.with_name("c0"))
        place.rmdir()
    catalog = prepare_videos("faceforensics/raw", tree.folder, tmp_path / "data")
    assert len(catalog) == 4 * 24 and set(catalog.columns["compression"]) == {"raw"}


def test_what_is_in_no_split_file_is_reported(tree, prepare_videos, tmp_path):
    folder = tree.folder / "manipulated_sequences/Deepfakes/c23/videos"
    shutil.copy(folder / "071_054.mp4", folder / "999_998.mp4")
    (folder / "notes.txt").write_text("")
    catalog = prepare_videos("faceforensics/c23", tree.folder, tmp_path / "data")
    assert [item.rpartition("/")[2] for item, status, _ in prepared.read_report(catalog.directory)
            if status == "stray"] == ["999_998.mp4", "notes.txt"]  # fmt: skip


def test_a_missing_original_is_named_and_its_fakes_are_kept_unpaired(
    tree, prepare_videos, by_video, tmp_path
):
    (tree.folder / "original_sequences/youtube/c23/videos/953.mp4").unlink()
    catalog = prepare_videos("faceforensics/c23", tree.folder, tmp_path / "data", max_bad=5)
    assert {(item, status) for item, status, _ in prepared.read_report(catalog.directory)} == {
        ("original/953", "missing"),
        ("Deepfakes/953_974", "partner_missing"),
        ("FaceSwap/953_974", "partner_missing"),
    }
    assert by_video(catalog)["Deepfakes/953_974"]["pristine_id"] == ""


@pytest.mark.parametrize(
    ("name", "error"),
    [("test.json", "test.json is missing"), ("original_sequences", "no original_sequences/")],
)
def test_what_must_be_there_is_named(name, error, tree, prepare_videos, tmp_path):
    path = tree.folder / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(UsageError, match=error):
        prepare_videos("faceforensics/c23", tree.folder, tmp_path / "data")


@pytest.mark.parametrize("content", ["{}", '["071", "054"]', "[["])
def test_split_files_must_be_lists_of_pairs(content, tree, prepare_videos, tmp_path):
    tree.text("val.json", content)
    with pytest.raises(DataError, match=r"val\.json"):
        prepare_videos("faceforensics/c23", tree.folder, tmp_path / "data")
