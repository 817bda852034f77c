"""folder: a tree, a manifest or DeepfakeBench's JSON becomes clips that say the same."""

import json

import pytest
from PIL import Image

from iid_jax.data import prepared
from iid_jax.errors import DataError, UsageError
from iid_jax.faces import media


@pytest.fixture
def tree(studio, tmp_path):
    return studio(tmp_path / "tree")


def picture(made, name, person, index=0):
    """Writes a drawn picture whose face the landmarker knows."""
    import drawn_videos

    shot = drawn_videos.shots(person)[index]
    path = made.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(shot.image).save(path)
    made.know(media.read_image(path), shot.landmarks)


def told(by_video, catalog):
    return {
        name: (c["split"], c["label"], c["method"], c["pristine_id"])
        for name, c in by_video(catalog).items()
    }


def test_a_tree_of_videos_and_pictures(tree, prepare_videos, by_video, tmp_path):
    tree.real("real/a.mp4", "a")
    picture(tree, "real/deep/b.png", "b")
    tree.fake("fake/Deepfakes/c.mp4", "a", "b")
    picture(tree, "fake/d.png", "d")
    tree.text("fake/notes.txt", "")
    catalog = prepare_videos("folder", tree.folder, tmp_path / "data")
    assert told(by_video, catalog) == {
        "real/a.mp4": ("test", 0, "original", ""),
        "real/deep/b.png": ("test", 0, "original", ""),
        "fake/Deepfakes/c.mp4": ("test", 1, "Deepfakes", ""),
        "fake/d.png": ("test", 1, "fake", ""),
    }
    assert [r[:2] for r in prepared.read_report(catalog.directory)] == [("fake/notes.txt", "stray")]


def test_a_tree_with_splits(tree, prepare_videos, by_video, tmp_path):
    for split in ("train", "val", "test"):
        picture(tree, f"{split}/real/a.png", f"{split}a")
        picture(tree, f"{split}/Fake/b.png", f"{split}b")
    catalog = prepare_videos("folder", tree.folder, tmp_path / "data")
    assert {split: len(catalog.select(split)) for split in ("train", "val", "test")} == {
        "train": 2, "val": 2, "test": 2
    }  # fmt: skip
    assert told(by_video, catalog)["val/Fake/b.png"] == ("val", 1, "fake", "")


def test_a_csv_manifest_with_pairs_people_masks_and_pictures(
    tree, prepare_videos, by_video, frames_of, tmp_path
):
    tree.real("clips/a.mp4", "anna")
    tree.fake("clips/b.mp4", "anna", "ben", mask="masks/b.mp4")
    for index in range(3):
        picture(tree, f"pictures/c{index}.png", "c", index)
    tree.text(
        "manifest.csv",
        "\ufeffpath,label,split,method,video_id,identity,source_identity,pristine_id,mask,frame\r\n"
        "clips/a.mp4,real,train,,a,anna,,,,\r\n"
        "clips/b.mp4,FAKE,train,Mine,b,anna,ben,a,masks/b.mp4,\r\n"
        "pictures/c0.png,0,,,c,,,,,7\r\npictures/c2.png,0,,,c,,,,,9\r\n"
        "pictures/c1.png,0,,,c,,,,,8\r\n",
    )
    catalog = prepare_videos("folder", tree.folder, tmp_path / "data")
    assert told(by_video, catalog) == {
        "a": ("train", 0, "original", ""),
        "b": ("train", 1, "Mine", "a"),
        "c": ("test", 0, "original", ""),
    }
    assert (by_video(catalog)["b"]["identity"], by_video(catalog)["b"]["source_identity"]) == (
        "anna",
        "ben",
    )
    fakes = catalog.select(label=1)
    assert (catalog.pristine_of(fakes) >= 0).all() and catalog.read(fakes[0]).mask
    assert frames_of(catalog, "c") == [7, 8, 9]


def test_a_json_manifest(tree, prepare_videos, by_video, tmp_path):
    tree.real("a.mp4", "a")
    rows = [{"path": "a.mp4", "label": 0, "identity": None, "mask": "gone.mp4"}]
    tree.text("manifest.json", json.dumps(rows))
    catalog = prepare_videos("folder", tree.folder, tmp_path / "data")
    assert told(by_video, catalog) == {"a.mp4": ("test", 0, "original", "")}
    report = [row[:2] for row in prepared.read_report(catalog.directory)]
    assert report == [("a.mp4", "mask_missing")]


@pytest.mark.parametrize(
    ("rows", "error", "words"),
    [
        ("a.mp4,maybe,", DataError, "label 'maybe'.*allowed: 0, real"),
        ("a.mp4,real,training", DataError, "split 'training'.*allowed:.*train, val"),
        ("../a.mp4,real,", DataError, "must lie below"),
        ("/etc/passwd,real,", DataError, "must lie below"),
        ("a.mp4,real,train\na.mp4,fake,train", DataError, "rows of a.mp4 differ in label"),
        ("a.mp4,real,train\na.mp4,real,train", UsageError, "each needs a number `frame`"),
    ],
)
def test_rows_that_cannot_be_used_are_refused(rows, error, words, tree, prepare_videos, tmp_path):
    tree.text("manifest.csv", f"path,label,split\n{rows}\n")
    with pytest.raises(error, match=words):
        prepare_videos("folder", tree.folder, tmp_path / "data")


def test_a_missing_row_is_named(tree, prepare_videos, tmp_path):
    tree.real("a.mp4", "a")
    tree.text("manifest.csv", "path,label\na.mp4,real\ngone.mp4,fake\n")
    with pytest.raises(DataError, match=r"1 of 2 videos .*gone\.mp4 \(missing\)"):
        prepare_videos("folder", tree.folder, tmp_path / "data")


def test_deepfakebench_files_are_read(tree, prepare_videos, by_video, frames_of, tmp_path):
    def frames(folder, person, count=3):
        names = [f"{folder}/frames/{person}/{5 * i:03d}.png" for i in range(count)]
        for index, name in enumerate(names):
            picture(tree, name, person, index)
        # Paths as they were on the machine that made the file.
        return [f"D:\\data\\rgb\\{name}".replace("/", "\\") for name in names]

    def clip(label, folder, person):
        return {person: {"label": label, "frames": frames(folder, person)}}

    real, fake = "CelebDFv2_real", "CelebDFv2_fake"
    tested = clip(real, "Celeb-DF-v2/Celeb-real", "id0_0000")
    train = clip(real, "Celeb-DF-v2/Celeb-real", "id1_0000")
    fakes = clip(fake, "Celeb-DF-v2/Celeb-synthesis", "id1_id0_0000")
    content = {
        "Celeb-DF-v2": {
            # Its training set holds the test videos too, its validation set is the test set.
            real: {"train": {**tested, **train}, "val": tested, "test": tested},
            fake: {"train": fakes, "val": {}, "test": {}},
        }
    }
    tree.text("Celeb-DF-v2.json", json.dumps(content))
    compressed = {"c23": clip("FF-DF", "FaceForensics++/Deepfakes/c23", "000_003")}
    tree.text("FF-DF.json", json.dumps({"FF-DF": {"FF-DF": {"test": compressed}}}))
    catalog = prepare_videos("folder", tree.folder, tmp_path / "data")
    assert told(by_video, catalog) == {
        "CelebDFv2_real/id0_0000": ("test", 0, "original", ""),
        "CelebDFv2_real/id1_0000": ("train", 0, "original", ""),
        "CelebDFv2_fake/id1_id0_0000": ("train", 1, "CelebDFv2_fake", ""),
        "FF-DF/c23/000_003": ("test", 1, "FF-DF", ""),
    }
    assert frames_of(catalog, "FF-DF/c23/000_003") == [0, 5, 10]
    assert by_video(catalog)["FF-DF/c23/000_003"]["compression"] == "c23"
    assert prepared.read_report(catalog.directory) == []


@pytest.mark.parametrize(
    ("videos", "words"),
    [({"v": {"c": {"x": 1}}}, "c has no `frames`"), ({"v": 1}, "not the form of a DeepfakeBench")],
)
def test_a_deepfakebench_file_of_another_form_is_refused(
    videos, words, tree, prepare_videos, tmp_path
):
    tree.text("a.json", json.dumps({"A": {"B_real": {"test": videos}}}))
    with pytest.raises(DataError, match=words):
        prepare_videos("folder", tree.folder, tmp_path / "data")


def test_an_empty_folder_is_refused(tree, prepare_videos, tmp_path):
    tree.text("notes.json", "[1]")
    with pytest.raises(UsageError, match=r"no video of folder.*datasets/folder/README\.md"):
        prepare_videos("folder", tree.folder, tmp_path / "data")
