"""What lies beside the records: what a data set was made from, its report, and the lock."""

import fcntl

import pytest

from iid_jax.data import prepared
from iid_jax.data.prepared import Settings
from iid_jax.errors import DataError, UsageError


@pytest.fixture
def source(tmp_path):
    for name in ("a/1.jpg", "a/2.jpg", "b/1.jpg"):
        path = tmp_path / "source" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return tmp_path / "source"


def test_the_listing_follows_names_and_sizes_and_not_the_place(source, tmp_path):
    before = prepared.source_sha256(source)
    moved = source.rename(tmp_path / "elsewhere")
    assert prepared.source_sha256(moved) == before
    (moved / "a/1.jpg").write_bytes(b"longer than it was")
    changed = prepared.source_sha256(moved)
    (moved / "a/1.jpg").rename(moved / "a/3.jpg")
    assert len({before, changed, prepared.source_sha256(moved)}) == 3


def test_the_same_settings_pass_and_others_are_refused_by_name(source, tmp_path):
    made = Settings(source=str(source), limit=5, seed=1)
    prepared.write_manifest(tmp_path, made.described())
    prepared.check_same(tmp_path, made)
    prepared.check_same(tmp_path, Settings(limit=5, seed=1))
    with pytest.raises(UsageError, match="seed 1, now 2"):
        prepared.check_same(tmp_path, Settings(str(source), 5, 2))
    with pytest.raises(UsageError, match="limit 5, now None"):
        prepared.check_same(tmp_path, Settings(str(source), None, 1))
    (source / "b/2.jpg").write_bytes(b"new")
    with pytest.raises(UsageError, match="from other files"):
        prepared.check_same(tmp_path, made)


@pytest.mark.parametrize("content", [None, "", "[", "3"])
def test_a_manifest_that_is_none_is_a_data_fault(tmp_path, content):
    if content is not None:
        (tmp_path / prepared.MANIFEST).write_text(content)
    with pytest.raises(DataError, match="delete"):
        prepared.check_same(tmp_path, Settings())


def test_the_report_gives_back_what_was_written_sorted(tmp_path):
    problems = [("b/ü,1.jpg", "no_face", 'a "b"'), ("a", "single", ""), ("c", "no_face", "x\ny")]
    prepared.write_report(tmp_path, problems)
    assert prepared.read_report(tmp_path) == sorted(problems)
    assert prepared.count_statuses(problems) == {"no_face": 2, "single": 1}


def test_what_a_killed_preparation_left_is_cleared_and_the_rest_stays(tmp_path):
    for name in ("incomplete.ABC_1.0.0/features.json", "1.0.0/features.json"):
        path = tmp_path / "set" / name
        path.parent.mkdir(parents=True)
        path.write_text("{}")
    with prepared.alone(tmp_path / "set"):
        names = {p.name for p in (tmp_path / "set").iterdir()}
    assert names == {"1.0.0", prepared.LOCK}


def test_a_second_preparation_is_kept_out_while_the_first_works(tmp_path):
    with (
        prepared.alone(tmp_path),
        (tmp_path / prepared.LOCK).open("w") as second,
        pytest.raises(BlockingIOError),
    ):
        fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with (tmp_path / prepared.LOCK).open("w") as second:
        fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(DataError, match=r"cannot write .*choose another --data_dir"),
        prepared.alone(tmp_path / "file" / "set"),
    ):
        pass
