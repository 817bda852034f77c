"""DFDC: training parts by metadata.json, releases by labels.csv, fakes paired by `original`."""

import json

import pytest

from iid_jax.data import prepared
from iid_jax.errors import DataError, UsageError

REAL = {"label": "REAL", "split": "train"}


def part(made, number, clips):
    """Writes a training part: {name: None or (target, donor, original)}."""
    folder, metadata = f"dfdc_train_part_{number}", {}
    for name, told in clips.items():
        if told is None:
            made.real(f"{folder}/{name}.mp4", name)
            metadata[f"{name}.mp4"] = REAL
        else:
            original, donor = told
            made.fake(f"{folder}/{name}.mp4", original, donor)
            fake = {"label": "FAKE", "split": "train", "original": f"{original}.mp4"}
            metadata[f"{name}.mp4"] = fake
    made.text(f"{folder}/metadata.json", json.dumps(metadata))


@pytest.fixture(scope="module")
def tree(studio, tmp_path_factory):
    made = studio(tmp_path_factory.mktemp("dfdc"))
    part(made, 0, {"aaa": None, "bbb": ("aaa", "ddd"), "ccc": ("aaa", "eee")})
    part(made, 49, {"ddd": None, "eee": ("ddd", "aaa"), "fff": ("gone", "aaa")})
    made.real("test/ttt.mp4", "ttt")
    made.fake("test/uuu.mp4", "vvv", "ttt")
    made.text("test/labels.csv", "filename,label\r\nttt.mp4,0\r\nuuu.mp4,1\r\n")
    return made


@pytest.fixture(scope="module")
def catalog(tree, prepare_videos, tmp_path_factory):
    return prepare_videos("dfdc", tree.folder, tmp_path_factory.mktemp("data"))


def test_every_label_split_and_pair(catalog, by_video):
    told = {
        video_id: (columns["split"], columns["label"], columns["method"], columns["pristine_id"])
        for video_id, columns in by_video(catalog).items()
    }
    # Of the two originals with fakes one is held out, with all that was made from it.
    split = {name: told[f"train/{name}"][0] for name in ("aaa", "ddd", "fff")}
    assert sorted({split["aaa"], split["ddd"], split["fff"]}) == ["train", "val"]
    assert told == {
        "train/aaa": (split["aaa"], 0, "original", ""),
        "train/bbb": (split["aaa"], 1, "DFDC", "train/aaa"),
        "train/ccc": (split["aaa"], 1, "DFDC", "train/aaa"),
        "train/ddd": (split["ddd"], 0, "original", ""),
        "train/eee": (split["ddd"], 1, "DFDC", "train/ddd"),
        "train/fff": (split["fff"], 1, "DFDC", ""),
        "test/ttt": ("test", 0, "original", ""),
        "test/uuu": ("test", 1, "DFDC", ""),
    }
    assert set(catalog.columns["identity"]) == {""}
    report = [row[:2] for row in prepared.read_report(catalog.directory)]
    assert report == [("train/fff", "partner_missing")]


def test_the_validation_release_is_val_and_nothing_else_is(tree, studio, prepare_videos, tmp_path):
    made = studio(tmp_path / "tree")
    part(made, 1, {"aaa": None, "bbb": ("aaa", "ddd")})
    made.real("validation/videos/www.mp4", "www")
    made.text("validation/labels.csv", "filename,label\nwww.mp4,0\n")
    # The test release tells its labels twice.
    made.fake("test/uuu.mp4", "vvv", "ttt")
    made.text("test/labels.csv", "filename,label\nuuu.mp4,1\n")
    made.text("test/metadata.json", json.dumps({"uuu.mp4": {"is_fake": 1}}))
    catalog = prepare_videos("dfdc", made.folder, tmp_path / "data")
    assert catalog.counts() == {
        "train": {"DFDC": 4, "original": 4}, "val": {"original": 4}, "test": {"DFDC": 4}
    }  # fmt: skip


def test_a_test_folder_can_be_the_source_itself(studio, prepare_videos, tmp_path):
    made = studio(tmp_path / "test")
    made.fake("uuu.mp4", "vvv", "ttt")
    made.text("metadata.json", json.dumps({"uuu.mp4": {"is_fake": 1, "original": None}}))
    catalog = prepare_videos("dfdc", made.folder, tmp_path / "data")
    assert catalog.counts() == {"test": {"DFDC": 4}}


@pytest.mark.parametrize(
    ("name", "content", "error", "words"),
    [
        ("labels.csv", "filename,label\na.mp4,2\n", DataError, "1 for fake"),
        ("labels.csv", "name,label\na.mp4,1\n", DataError, "no column 'filename'"),
        ("metadata.json", '{"a.mp4": {"label": "MAYBE"}}', DataError, "'MAYBE'"),
        ("metadata.json", "[]", DataError, "must be a dict"),
        ("readme.txt", "", UsageError, "no metadata.json and no labels.csv"),
    ],
)
def test_lists_that_say_something_else_are_refused(
    name, content, error, words, studio, prepare_videos, tmp_path
):
    studio(tmp_path / "tree").text(name, content)
    with pytest.raises(error, match=words):
        prepare_videos("dfdc", tmp_path / "tree", tmp_path / "data")
