"""The base of video data sets: hostile trees, being killed, several processes, too many bad."""

import collections
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from iid_jax.data import builder, parts, prepared, videos
from iid_jax.data.catalog import open_catalog
from iid_jax.errors import DataError, UsageError
from iid_jax.main import main

NAME = "celeb_df/v2"


@pytest.fixture(scope="module")
def people(studio, tmp_path_factory):
    """A small Celeb-DF: five celebrities, one of them with a test video."""
    made = studio(tmp_path_factory.mktemp("people"))
    for number in range(5):
        name, donor = f"id{number}", f"id{(number + 1) % 5}"
        made.real(f"Celeb-real/{name}_0000.mp4", name, frames=5)
        made.fake(f"Celeb-synthesis/{name}_{donor}_0000.mp4", name, donor, frames=5)
    made.text("List_of_testing_videos.txt", "1 Celeb-real/id0_0000.mp4\n")
    return made


@pytest.fixture
def tree(people, studio, tmp_path):
    shutil.copytree(people.folder, tmp_path / "tree")
    return studio(tmp_path / "tree")


@pytest.fixture(scope="module")
def whole(people, prepare_videos, tmp_path_factory):
    return prepare_videos(NAME, people.folder, tmp_path_factory.mktemp("whole"))


def files(catalog) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in catalog.directory.glob("*.array_record*")}


def told(catalog) -> dict[str, set[str]]:
    found = collections.defaultdict(set)
    for item, status, _ in prepared.read_report(catalog.directory):
        found[status].add(item)
    return dict(found)


def test_a_hostile_tree_costs_what_is_bad_and_nothing_else(tree, prepare_videos, whole, tmp_path):
    real = tree.folder / "Celeb-real"
    data = (real / "id1_0000.mp4").read_bytes()
    (real / "id5_0000.mp4").write_bytes(data[: len(data) // 2])
    (real / "id6_0000.mp4").write_bytes(b"")
    tree.meadow("Celeb-real/id7_0000.mp4")
    (real / "id8_0000.mp4").write_text("#EXTM3U\nid1_0000.mp4\n")
    shutil.copy(real / "id2_0000.mp4", real / "id9_0000.mp4")
    tree.real("YouTube-real/Zoë Ωmega 日本.mp4", "zoe", frames=5)
    tree.text("List_of_testing_videos.txt", "1 Celeb-real/id0_0000.mp4\r\n\r\n")
    catalog = prepare_videos(NAME, tree.folder, tmp_path / "data", max_bad=50)
    assert told(catalog) == {
        "truncated": {"Celeb-real/id5_0000"},
        "empty": {"Celeb-real/id6_0000"},
        "no_face": {"Celeb-real/id7_0000"},
        "frame_no_face": {f"Celeb-real/id7_0000#{i}" for i in (0, 2, 3, 5)},
        "unknown_format": {"Celeb-real/id8_0000"},
        "duplicate": {"Celeb-real/id9_0000"},
        "partner_elsewhere": {"Celeb-synthesis/id0_id1_0000"},
    }
    kept = set(catalog.columns["video_id"].tolist())
    assert kept == set(whole.columns["video_id"].tolist()) | {"YouTube-real/Zoë Ωmega 日本"}
    assert catalog.manifest["left_out"]["frame_no_face"] == 4


def test_more_bad_videos_than_allowed_are_an_error_that_names_them(tree, prepare_videos, tmp_path):
    for number in range(5, 17):
        (tree.folder / "Celeb-real" / f"id{number}_0000.mp4").write_bytes(b"")
    with pytest.raises(DataError) as caught:
        prepare_videos(NAME, tree.folder, tmp_path / "data", max_bad=54)
    text = str(caught.value)
    assert "12 of 22 videos (54.5 %)" in text and "--max_bad=54" in text and "\n" not in text
    assert "Celeb-real/id5_0000 (empty)" in text and "and 2 more" in text
    report = tmp_path / "data" / "celeb_df" / "v2" / prepared.REPORT
    assert str(report) in text and report.read_text().count(",empty,") == 12
    with pytest.raises(DataError, match="no data set"):
        open_catalog(NAME, tmp_path / "data")
    assert len(prepare_videos(NAME, tree.folder, tmp_path / "data", max_bad=55))


def test_a_partly_damaged_video_gives_what_is_left_and_says_so(tree, prepare_videos, tmp_path):
    path = tree.folder / "Celeb-real" / "id1_0000.mp4"
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + int(0.9 * (len(data) - data.index(b"mdat")))
    data[start:] = data[start:].replace(b"\x00", b"\x5a")
    middle = data.index(b"mdat") + (data.index(b"moov") - data.index(b"mdat")) * 3 // 4
    data = bytearray(path.read_bytes())
    data[middle : middle + 300] = b"\xa5" * 300
    path.write_bytes(data)
    catalog = prepare_videos(NAME, tree.folder, tmp_path / "data", max_bad=50)
    (row,) = [r for r in prepared.read_report(catalog.directory) if r[1] == "frames_lost"]
    assert row[0] == "Celeb-real/id1_0000" and row[2].startswith("decoded ") and " of 4" in row[2]


def test_two_processes_make_the_same_bytes(people, prepare_videos, whole, tmp_path):
    catalog = prepare_videos(NAME, people.folder, tmp_path, jobs=2)
    assert files(catalog) == files(whole) and len(files(whole)) == 3
    assert not (catalog.directory.parent / builder.PARTS).exists()


def test_a_video_that_crashes_a_process_is_named_and_costs_itself_alone(
    tree, whole, tmp_path, capsys
):
    tree.deadly("YouTube-real/00009.mp4", "y9")
    arguments = [f"--dataset={NAME}", f"--source={tree.folder}", f"--data_dir={tmp_path / 'd'}"]
    arguments += ["--frames=4", "--landmarker=drawn_videos:find", "--jobs=2", "--quiet"]
    assert main(["prepare", *arguments, "--max_bad=10"]) == 3
    assert "left out: 1 crashed" in capsys.readouterr().out
    catalog = open_catalog(NAME, tmp_path / "d")
    assert told(catalog) == {"crashed": {"YouTube-real/00009"}} | told(whole)
    assert files(catalog) == files(whole)


def test_killed_and_called_again_it_goes_on_and_ends_with_the_same_bytes(
    people, whole, tmp_path, monkeypatch
):
    arguments = [f"--dataset={NAME}", f"--source={people.folder}", f"--data_dir={tmp_path}"]
    arguments += ["--frames=4", "--landmarker=drawn_videos:find", "--jobs=1", "--quiet"]
    search = os.pathsep.join([str(Path(__file__).parents[1]), str(Path.cwd())])
    command = [sys.executable, "-m", "iid_jax.main", "prepare", *arguments]
    finished = tmp_path / "celeb_df" / "v2" / builder.PARTS
    slow = {**os.environ, "PYTHONPATH": search, "DRAWN_SLOW": "0.1"}

    def done():
        return {p.name for p in finished.glob("*") if p.suffix != ".tmp"}

    with subprocess.Popen(command, env=slow) as process:
        deadline = time.monotonic() + 60
        while len(done()) < 3 and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    kept = done()
    assert 3 <= len(kept) < 10
    made_again = []
    make = videos.VideoDatasetBuilder.make
    monkeypatch.setattr(
        videos.VideoDatasetBuilder, "make", lambda self, t: made_again.append(t) or make(self, t)
    )
    assert main(["prepare", *arguments]) == 0
    assert len(made_again) == 10 - len(kept)
    assert files(open_catalog(NAME, tmp_path)) == files(whole)


def test_what_was_made_of_another_file_or_with_other_settings_is_made_again(tree, tmp_path):
    def names(**options):
        settings = builder.Settings(
            source=str(tree.folder), landmarker="drawn_videos:find", **options
        )
        made = builder.load_builder(NAME, tmp_path, settings=settings)
        tasks = [t for tasks in made.plan().values() for t in tasks]
        return {t.clip.video_id: made.part(t) for t in tasks}

    before = names()
    assert names() == before and len(set(before.values())) == 10
    assert not set(names(frames=8).values()) & set(before.values())
    path = tree.folder / "Celeb-real" / "id1_0000.mp4"
    os.utime(path, (1, 1))
    changed = {video_id for video_id, name in names().items() if name != before[video_id]}
    assert changed == {"Celeb-real/id1_0000", "Celeb-synthesis/id1_id2_0000"}


def test_a_full_disk_keeps_what_is_finished(people, prepare_videos, tmp_path, monkeypatch):
    keep, kept = parts.keep, []

    def full(path, *stored):
        if len(kept) == 4:
            raise OSError(28, "No space left on device", str(path))
        kept.append(path)
        keep(path, *stored)

    monkeypatch.setattr(parts, "keep", full)
    with pytest.raises(DataError, match="No space left"):
        prepare_videos(NAME, people.folder, tmp_path)
    assert len(list((tmp_path / "celeb_df" / "v2" / builder.PARTS).iterdir())) == 4


def test_limit_keeps_pairs_together_in_every_split(people, prepare_videos, tmp_path):
    catalog = prepare_videos(NAME, people.folder, tmp_path, limit=2)
    assert catalog.counts() == {
        split: {"Celeb-synthesis": 4, "original": 4} for split in ("train", "val")
    } | {"test": {"original": 4}}
    assert (catalog.pristine_of(catalog.select(label=1)) >= 0).all()


def test_other_settings_or_another_landmarker_are_refused(people, prepare_videos, whole):
    folder = whole.directory.parents[2]
    with pytest.raises(UsageError, match="frames 4, now 8"):
        prepare_videos(NAME, people.folder, folder, frames=8)
    with pytest.raises(UsageError, match="landmarker drawn/test, now drawn_videos:nobody"):
        prepare_videos(NAME, people.folder, folder, landmarker="drawn_videos:nobody")


def test_nobody_in_any_video_is_an_error(people, prepare_videos, tmp_path):
    with pytest.raises(DataError, match=r"1 of 10 videos .*Celeb-real/id0_0000 \(no_face\)"):
        prepare_videos(NAME, people.folder, tmp_path, landmarker="drawn_videos:nobody")
    with pytest.raises(DataError, match="nothing of the split test can be used"):
        prepare_videos(NAME, people.folder, tmp_path, landmarker="drawn_videos:nobody", max_bad=100)


def test_a_folder_without_videos_is_refused(studio, prepare_videos, tmp_path):
    studio(tmp_path).text("tree/List_of_testing_videos.txt", "")
    with pytest.raises(UsageError, match=r"no video of celeb_df in .*README"):
        prepare_videos(NAME, tmp_path / "tree", tmp_path / "data")


def test_made_data_sets_take_no_options_of_videos(tmp_path):
    with pytest.raises(UsageError, match="leave out --frames=4"):
        builder.prepare("practice_faces", tmp_path, builder.Settings(frames=4))


def test_doubtful_faces_are_kept_flagged_and_counted(tree, prepare_videos, tmp_path):
    import drawn_videos

    shot = drawn_videos.shots("somebody")[0]
    still = [shot.image] * 3
    path = drawn_videos.write_video(tree.folder / "YouTube-real" / "2.mp4", still)
    centre = shot.landmarks.mean(axis=0)
    small = centre + (shot.landmarks - centre) * 39 / np.ptp(shot.landmarks, axis=0).max()
    for frame in drawn_videos.video.FrameReader(path, range(3)):
        tree.know(frame.image, small + (2, 2), small * 0.5)
    catalog = prepare_videos(NAME, tree.folder, tmp_path / "data")
    rows = catalog.columns["video_id"] == "YouTube-real/2"
    assert set(catalog.columns["quality"][rows]) == {"tiny,several"}
    assert set(catalog.columns["faces"][rows]) == {2}
    assert catalog.manifest["quality"]["several"] == rows.sum()


def test_real_videos_with_dlib(shared_data, tmp_path):
    pytest.importorskip("dlib", reason="the [faces] extra is not installed")
    place = tmp_path / "tree" / "YouTube-real"
    place.mkdir(parents=True)
    for path in (shared_data / "videos").glob("*.mp4"):
        shutil.copy(path, place / path.name)
    (tmp_path / "tree" / "List_of_testing_videos.txt").write_text("")
    settings = builder.Settings(source=str(tmp_path / "tree"), frames=3)
    catalog = builder.prepare(NAME, tmp_path / "data", settings, jobs=1, quiet=True)
    assert len(catalog) == 9 and catalog.landmarker.startswith("dlib-")
    for row in range(len(catalog)):
        record = catalog.read(row)
        assert record.detector_score > 0 and 0.25 < record.pixels().shape[0] / 512 <= 1.0
