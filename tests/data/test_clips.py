"""Which frames are taken, from lengths worked out by hand."""

import numpy as np
import pytest

from iid_jax.data import clips, schema
from iid_jax.data.clips import Clip


def pictures(video_id, indices, **columns):
    images = tuple((index, f"{video_id}/{index}.png") for index in indices)
    return Clip(video_id=video_id, split="train", images=images, **columns)


def test_frames_lie_in_the_middle_of_equal_parts():
    assert clips.evenly(np.arange(300), 4).tolist() == [37, 112, 187, 262]
    assert clips.evenly(np.arange(4), 4).tolist() == [0, 1, 2, 3]
    assert clips.evenly(np.arange(3), 32).tolist() == [0, 1, 2]
    many = clips.evenly(np.arange(33), 32)
    assert len(set(many.tolist())) == 32


def test_a_group_gives_the_frames_that_all_have(tmp_path):
    group = [
        pictures("real", range(300)),
        pictures("a", range(100)),
        pictures("b", range(0, 300, 2)),
    ]
    chosen = [clips.wanted(clip, group, tmp_path, 4) for clip in group]
    # In common: the even indices below 100.
    assert chosen[0] == chosen[1] == chosen[2] == [12, 36, 62, 86]


def test_a_very_short_one_shortens_no_other(tmp_path):
    long, short = pictures("real", range(300)), pictures("a", range(120, 123))
    assert clips.wanted(long, [long, short], tmp_path, 4) == [37, 112, 187, 262]
    assert clips.wanted(short, [long, short], tmp_path, 4) == [120, 121, 122]
    beginning = pictures("b", range(3))
    assert clips.wanted(beginning, [beginning, pictures("c", range(2))], tmp_path, 4) == [0, 1, 2]
    shared = pictures("d", range(100, 114))
    assert clips.wanted(shared, [long, shared], tmp_path, 16) == [103]


def test_one_of_the_group_that_cannot_be_opened_changes_nothing(tmp_path):
    long = pictures("real", range(300))
    gone = Clip(video_id="gone", split="train", path="gone.mp4")
    assert clips.wanted(long, [long, gone], tmp_path, 4) == [37, 112, 187, 262]


def faked(person, number):
    real = Clip(video_id=f"{person}_{number}", split="train", identity=person)
    fake = Clip(
        video_id=f"fake/{person}_{number}", split="train", label=schema.FAKE, identity=person,
        pristine_id=real.video_id,
    )  # fmt: skip
    return [real, fake]


def test_people_are_held_out_as_a_whole():
    listed = [clip for p in range(20) for n in range(3) for clip in faked(f"p{p}", n)]
    listed += [Clip(video_id=f"y{n}", split="train") for n in range(40)]
    listed += [Clip(video_id="t", split="test", identity="p0")]
    held = clips.hold_out(listed, 0.1, seed=0)
    assert [clip.video_id for clip in held] == [clip.video_id for clip in listed]
    people = {split: {c.identity for c in held if c.split == split} - {""} for split in
              ("train", "val")}  # fmt: skip
    assert len(people["val"]) == 2 and not people["val"] & people["train"]
    assert sum(c.split == "val" for c in held if not c.identity) == 4
    assert held[-1].split == "test"
    assert clips.hold_out(listed, 0.1, seed=1) != held == clips.hold_out(listed, 0.1, seed=0)


def test_a_mask_is_fitted_to_its_frame_or_refused():
    mask = np.zeros((90, 160), np.float32)
    mask[:45] = 1.0
    assert clips.fitted(mask, (90, 160)) is mask
    large = clips.fitted(mask, (180, 320))
    assert large.shape == (180, 320) and large[:80].min() == 1.0 and large[100:].max() == 0.0
    assert clips.fitted(mask, (90, 120)) is None


@pytest.mark.parametrize("count", [1, 2, 31, 32, 33, 300])
def test_never_more_and_never_twice(count):
    chosen = clips.evenly(np.arange(count), 32)
    assert len(chosen) == min(count, 32) == len(set(chosen.tolist()))
