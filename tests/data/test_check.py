"""The check of a prepared data set: it passes what is whole, and sees each thing that is not."""

import shutil

import pytest

from iid_jax.data import builder, check
from iid_jax.data.catalog import INDEX, open_catalog
from iid_jax.main import main


@pytest.fixture
def celeb_df(celeb_df_data, tmp_path):
    shutil.copytree(celeb_df_data, tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture(scope="module")
def celeb_df_data(celeb_df_tree, prepare_videos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("check")
    prepare_videos("celeb_df/v2", celeb_df_tree.folder, folder, seed=1)
    return folder


def found(name, data_dir):
    return {f.what: f for f in check.check(open_catalog(name, data_dir), quiet=True)}


def test_a_drawn_data_set_is_whole(practice_dir, capsys):
    assert main(["prepare", "--check", "--dataset=practice_faces", f"--data_dir={practice_dir}",
                 "--quiet"]) == 0  # fmt: skip
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["checked", "expected", "found", "verdict"]
    assert {line.split()[-1] for line in lines[1:]} == {"ok"}


def test_pairs_are_complete_where_they_are(faceforensics_tree, prepare_videos, tmp_path):
    prepare_videos("faceforensics/c23", faceforensics_tree.folder, tmp_path)
    findings = found("faceforensics/c23", tmp_path)
    assert findings["videos, train, Deepfakes"][1:] == ("720", "4", "differs")
    assert findings["videos, val, original"][1:] == ("140", "2", "differs")
    assert findings["videos, test, FaceShifter"][1:] == ("140", "0", "differs")
    rest = [f for what, f in findings.items() if not what.startswith("videos, ")]
    assert {f.verdict for f in rest} == {"ok"}
    assert findings["fakes with their pristine video"].found == "16"
    assert findings["people in both train and test"][1:] == ("0", "0", "ok")


def test_shared_people_are_noted_as_published(celeb_df):
    findings = found("celeb_df/v2", celeb_df)
    shared = findings["people in both train and test"]
    assert shared.verdict == "noted" and shared.found.startswith("2 (id0, id1); the published list")
    assert findings["videos in two splits"].verdict == "ok"
    assert main(["prepare", "--check", "--dataset=celeb_df/v2", f"--data_dir={celeb_df}",
                 "--quiet"]) == 3  # fmt: skip


def test_a_limited_data_set_is_only_noted_to_be_smaller(celeb_df_tree, prepare_videos, tmp_path):
    prepare_videos("celeb_df/v2", celeb_df_tree.folder, tmp_path, limit=2, seed=1)
    findings = found("celeb_df/v2", tmp_path)
    assert findings["videos, test, original"][1:] == ("178", "1 (--limit)", "noted")
    assert "differs" not in {f.verdict for f in findings.values()}


def test_a_changed_picture_is_damage(celeb_df, capsys):
    (path,) = open_catalog("celeb_df/v2", celeb_df).directory.glob("*train*.array_record*")
    data = bytearray(path.read_bytes())
    start = data.index(b"\xff\xd8\xff") + 500
    data[start : start + 40] = bytes(40)
    path.write_bytes(data)
    assert main(["prepare", "--check", "--dataset=celeb_df/v2", f"--data_dir={celeb_df}",
                 "--quiet"]) == 4  # fmt: skip
    line = next(x for x in capsys.readouterr().out.splitlines() if x.startswith("records with"))
    assert line.endswith("damaged") and "celeb_df/v2:" in line


def with_columns(name, data_dir, **changes):
    """The findings on a catalog whose columns were changed in memory."""
    catalog = open_catalog(name, data_dir)
    for column, (rows, value) in changes.items():
        catalog.columns[column][rows(catalog)] = value
    return {f.what: f for f in [check._videos(catalog), *check._people(catalog, ""),
                                *check._pairs(catalog)]}  # fmt: skip


def test_what_is_in_two_splits_is_seen(practice_dir):
    def some_test(catalog):
        return catalog.select("test", label=0)[:1]

    catalog = open_catalog("practice_faces", practice_dir)
    train = catalog.select("train", label=0)[0]
    video, person = (str(catalog.columns[c][train]) for c in ("video_id", "identity"))
    findings = with_columns(
        "practice_faces", practice_dir, video_id=(some_test, video), identity=(some_test, person)
    )
    assert findings["videos in two splits"][1:] == ("0", f"1 ({video})", "differs")
    assert findings["people in both train and test"][1:] == ("0", f"1 ({person})", "differs")


def test_a_fake_without_its_pristine_frames_is_seen(practice_dir):
    catalog = open_catalog("practice_faces", practice_dir)
    fake = str(catalog.columns["video_id"][catalog.select("test", label=1)[0]])

    def rows(catalog):
        return catalog.columns["video_id"] == fake

    findings = with_columns("practice_faces", practice_dir, pristine_id=(rows, "original/gone"))
    assert findings["fakes with their pristine video"].verdict == "differs"
    assert fake in findings["fakes with their pristine video"].found
    findings = with_columns("practice_faces", practice_dir, pristine_id=(rows, ""))
    assert findings["fakes with their pristine video"].found.endswith("; 1 are unpaired")
    train = str(catalog.columns["video_id"][catalog.select("train", label=0)[0]])
    findings = with_columns("practice_faces", practice_dir, pristine_id=(rows, train))
    assert findings["pairs across splits"][1:] == ("0", f"1 ({fake})", "differs")


def test_every_published_count_is_of_a_configuration_there_is():
    for name in builder.builder_names():
        cls = builder.builder_class(name)
        for config in cls.PUBLISHED:
            assert cls.named_config(config).name == config


def test_one_of_several_published_counts_is_enough(celeb_df_data):
    catalog = open_catalog("celeb_df/v2", celeb_df_data)
    published = {("test", "original"): (1, 2), ("train+val", "fakes"): (1, 2)}
    assert list(check._counts(catalog, published)) == [
        ("videos, test, original", "1 or 2", "2", "ok"),
        ("videos, train+val, fakes", "1 or 2", "3", "differs"),
    ]


def test_the_check_takes_no_source(told, tmp_path):
    code, line = told("prepare", "--check", "--dataset=folder", "--source=.")
    assert code == 2 and "leave out --source" in line
    code, line = told("prepare", "--check", "--dataset=folder", f"--data_dir={tmp_path}")
    assert code == 4 and "no data set folder/default" in line


def test_the_index_is_not_what_is_checked(celeb_df):
    directory = open_catalog("celeb_df/v2", celeb_df).directory
    (directory / INDEX).unlink()
    assert found("celeb_df/v2", celeb_df)["fingerprint"].verdict == "ok"
