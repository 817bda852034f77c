"""Preparing with Beam: the same bytes as without, and one line where that cannot be."""

import sys

import pytest

from iid_jax.data import builder
from iid_jax.errors import DataError, UsageError


@pytest.fixture(scope="module")
def tree(studio, tmp_path_factory):
    made = studio(tmp_path_factory.mktemp("tree"))
    for name in ("a", "b"):
        made.real(f"real/{name}.mp4", name)
    made.text("fake/void.mp4", "")
    return made.folder


def settings(tree, **options):
    options = {"frames": 3, "landmarker": "drawn_videos:find", "max_bad": 50, **options}
    return builder.Settings(source=str(tree), **options)


def prepare(tree, data_dir, beam, **options):
    return builder.prepare("folder", data_dir, settings(tree, **options), 1, True, beam)


def files(catalog):
    names = ("*.array_record*", "manifest.json", "prepare_report.csv")
    return {p.name: p.read_bytes() for n in names for p in catalog.directory.glob(n)}


def test_beam_leaves_the_same_bytes(tree, tmp_path, monkeypatch):
    pytest.importorskip("apache_beam", reason="the [beam] extra is not installed")
    here = prepare(tree, tmp_path / "here", "")
    made = []
    make_once = builder.FaceDatasetBuilder.make_once
    monkeypatch.setattr(
        builder.FaceDatasetBuilder, "make_once", lambda b, t: made.append(b.beam) or make_once(b, t)
    )
    monkeypatch.chdir(tmp_path)
    there = prepare(tree, "there", "DirectRunner --direct_num_workers=1")
    assert files(there) == files(here) and len(there) == 6
    # Three tasks were made on a worker, then found when all was written.
    assert sorted(made) == ["", "", ""] + ["DirectRunner --direct_num_workers=1"] * 3


def test_what_fails_in_a_pipeline_is_one_line(tree, tmp_path, monkeypatch):
    pytest.importorskip("apache_beam", reason="the [beam] extra is not installed")
    monkeypatch.setenv("DRAWN_SLOW", "no number")
    with pytest.raises(UsageError, match=r"--landmarker=drawn_videos:find failed .*no number"):
        prepare(tree, tmp_path, "DirectRunner")
    (tmp_path / "folder" / "default" / builder.PARTS).write_text("in the way")
    monkeypatch.delenv("DRAWN_SLOW")
    with pytest.raises(DataError, match="--beam=DirectRunner failed: ") as caught:
        prepare(tree, tmp_path, "DirectRunner")
    assert "\n" not in str(caught.value)


def test_an_unknown_runner_is_refused(tree, tmp_path):
    pytest.importorskip("apache_beam", reason="the [beam] extra is not installed")
    with pytest.raises(UsageError, match="--beam=Nobody"):
        prepare(tree, tmp_path, "Nobody")


def test_made_data_sets_are_not_for_beam(tmp_path):
    pytest.importorskip("apache_beam", reason="the [beam] extra is not installed")
    with pytest.raises(UsageError, match="not made of videos; leave out --beam=DirectRunner"):
        builder.prepare(
            "practice_faces", tmp_path, builder.Settings(limit=40), 1, True, "DirectRunner"
        )


def test_without_beam_the_error_names_the_pip_command(tree, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    with pytest.raises(UsageError, match=r"pip install 'iid-jax\[beam\]'"):
        prepare(tree, tmp_path, "DirectRunner")
