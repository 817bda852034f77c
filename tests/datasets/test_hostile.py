"""Hostile trees: in every layout, what is bad costs itself alone and is told by name and reason."""

import collections
import json
import shutil

import pytest

from iid_jax.data import builder, prepared, videos

REAL = ("sound", "cut", "void", "meadow", "playlist", "twin", "gone", "Zoë 日本")
LOST = {
    "truncated": "cut",
    "empty": "void",
    "no_face": "meadow",
    "unknown_format": "playlist",
    "duplicate": "twin",
    "missing": "gone",
}


def spoil(made, place):
    """Writes all videos of REAL but the missing one, each at its `place`."""
    sound = made.real(place.format("sound"), "sound")
    data = sound.read_bytes()
    shutil.copy(sound, made.folder / place.format("twin"))
    (made.folder / place.format("cut")).write_bytes(data[: len(data) // 2])
    (made.folder / place.format("void")).write_bytes(b"")
    made.text(place.format("playlist"), "#EXTM3U\nsound.mp4\n")
    made.meadow(place.format("meadow"))
    made.real(place.format("Zoë 日本"), "zoe")


def windows(values):
    """JSON as some editors leave it: with a byte order mark and Windows line ends."""
    return "\ufeff" + json.dumps(values, indent=1, ensure_ascii=False).replace("\n", "\r\n")


def faceforensics(made):
    spoil(made, "original_sequences/youtube/c23/videos/{}.mp4")
    made.text("train.json", windows(list(zip(REAL[::2], REAL[1::2], strict=True))))
    made.text("val.json", "[]")
    made.text("test.json", "[]")
    return "original/{}", REAL


def celeb_df(made):
    spoil(made, "YouTube-real/{}.mp4")
    made.text("List_of_testing_videos.txt", "\r\n".join(f"1 YouTube-real/{n}.mp4" for n in REAL))
    return "YouTube-real/{}", REAL


def dfd(made):
    spoil(made, "original_sequences/actors/c23/videos/01__{}.mp4")
    return "original/01__{}", [name for name in REAL if name != "gone"]  # there is no list


def dfdc(made):
    spoil(made, "test/{}.mp4")
    made.text(
        "test/labels.csv", "\ufefffilename,label\r\n" + "".join(f"{n}.mp4,0\r\n" for n in REAL)
    )
    return "test/{}", REAL


def dfdc_parts(made):
    spoil(made, "dfdc_train_part_0/{}.mp4")
    entries = {f"{name}.mp4": {"label": "REAL", "split": "train"} for name in REAL}
    made.text("dfdc_train_part_0/metadata.json", windows(entries))
    return "train/{}", REAL


def dfdc_preview(made):
    spoil(made, "original_videos/7/{}.mp4")
    entry = {"label": "real", "set": "test", "target_id": 7, "swapped_id": None}
    made.text("dataset.json", windows({f"original_videos/7/{name}.mp4": entry for name in REAL}))
    return "original_videos/7/{}", REAL


def folder(made):
    spoil(made, "clips/{}.mp4")
    rows = "".join(f"clips/{name}.mp4,real,{name}\r\n" for name in REAL)
    made.text("manifest.csv", f"\ufeffpath,label,video_id\r\n{rows}\r\n")
    return "{}", REAL


TREES = {
    "faceforensics/c23": faceforensics,
    "celeb_df/v2": celeb_df,
    "dfd/c23": dfd,
    "dfdc/default": dfdc,
    "dfdc": dfdc_parts,
    "dfdc_preview": dfdc_preview,
    "folder": folder,
}


@pytest.mark.parametrize("name", TREES)
def test_what_is_bad_costs_itself_alone(name, studio, prepare_videos, tmp_path):
    form, listed = TREES[name](made := studio(tmp_path / "tree"))
    catalog = prepare_videos(name, made.folder, tmp_path / "data", max_bad=80)
    told = collections.defaultdict(set)
    for item, status, _ in prepared.read_report(catalog.directory):
        told[status].add(item)
    assert len(told.pop("frame_no_face")) == 4
    assert told == {status: {form.format(lost)} for status, lost in LOST.items() if lost in listed}
    kept = {form.format(name) for name in ("sound", "Zoë 日本")}
    assert set(catalog.columns["video_id"].tolist()) == kept and len(catalog) == 8


def test_every_builder_of_videos_has_its_hostile_tree():
    of_videos = {
        name
        for name in builder.builder_names()
        if issubclass(builder.builder_class(name), videos.VideoDatasetBuilder)
    }
    # The photographs of lfw have theirs in test_lfw.py.
    assert {name.partition("/")[0] for name in TREES} == of_videos - {"lfw"}
