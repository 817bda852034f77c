"""The DFDC preview: split and people from dataset.json, pairs from the names."""

import json

import pytest

from iid_jax.data import prepared
from iid_jax.errors import DataError, UsageError


def clip_of(made, entries, path, split, target, donor=None, augmentations=()):
    entries[path] = {"label": "fake" if donor else "real", "set": split, "target_id": int(target),
                     "swapped_id": int(donor) if donor else None,
                     "augmentations": list(augmentations)}  # fmt: skip
    if donor:
        made.fake(f"dfdc_preview_set/{path}", target, donor)
    else:
        made.real(f"dfdc_preview_set/{path}", target)


@pytest.fixture(scope="module")
def tree(studio, tmp_path_factory):
    made, entries = studio(tmp_path_factory.mktemp("preview")), {}
    for split, target, donor in (
        ("train", "111", "222"), ("train", "222", "111"), ("test", "333", "444")
    ):  # fmt: skip
        clip_of(made, entries, f"original_videos/{target}/{target}_A_001.mp4", split, target)
        name = f"{target}/{target}_A/{donor}_{target}_A_001.mp4"
        clip_of(made, entries, f"method_A/{name}", split, target, donor)
    other = "method_B/333/333_B/444_333_B_002.mp4"
    clip_of(made, entries, other, "test", "333", "444", ["resolution"])
    made.text("dfdc_preview_set/dataset.json", json.dumps(entries))
    return made


@pytest.fixture(scope="module")
def catalog(tree, prepare_videos, tmp_path_factory):
    return prepare_videos("dfdc_preview", tree.folder, tmp_path_factory.mktemp("data"))


def test_every_label_split_pair_and_identity(catalog, by_video):
    told = {name: tuple(columns.values()) for name, columns in by_video(catalog).items()}
    split = {t: told[f"original_videos/{t}/{t}_A_001"][0] for t in ("111", "222")}
    assert set(split.values()) == {"train", "val"}
    expected = {}
    for target, donor, place in (
        ("111", "222", split["111"]), ("222", "111", split["222"]), ("333", "444", "test")
    ):  # fmt: skip
        real = f"original_videos/{target}/{target}_A_001"
        expected[real] = (place, 0, "original", target, "", "", "")
        fake = f"method_A/{target}/{target}_A/{donor}_{target}_A_001"
        expected[fake] = (place, 1, "method_A", target, donor, real, "")
    other = "method_B/333/333_B/444_333_B_002"
    expected[other] = ("test", 1, "method_B", "333", "444", "", "resolution")
    assert told == expected
    assert prepared.read_report(catalog.directory) == []


def test_the_inner_folder_may_be_given(tree, prepare_videos, catalog, tmp_path):
    again = prepare_videos("dfdc_preview", tree.folder / "dfdc_preview_set", tmp_path)
    assert again.fingerprint == catalog.fingerprint


def test_what_is_no_list_is_refused(studio, prepare_videos, tmp_path):
    made = studio(tmp_path / "tree")
    made.text("notes.txt", "")
    with pytest.raises(UsageError, match=r"dataset\.json is missing"):
        prepare_videos("dfdc_preview", made.folder, tmp_path / "data")
    made.text("dataset.json", '{"method_A/a.mp4": {"label": "FAKE", "set": "train"}}')
    with pytest.raises(DataError, match="label 'FAKE' and set 'train'"):
        prepare_videos("dfdc_preview", made.folder, tmp_path / "data")
