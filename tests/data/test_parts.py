"""What a task gave comes back bit for bit, or not at all."""

import dataclasses

import numpy as np
import pytest

from iid_jax.data import parts, schema


@pytest.fixture
def record():
    rng = np.random.default_rng(0)
    points = (rng.uniform(40, 90, (68, 2)) / 3).astype(np.float32)
    picture = rng.integers(0, 256, (120, 160, 3), np.uint8)
    return schema.make_record(
        picture, points, np.ones((120, 160), np.float32), label=1, method="Ümläut", split="train",
        video_id="a/ü", frame=3, identity="p", time=1 / 3, detector_score=np.float32(0.1),
        quality="tiny",
    )  # fmt: skip


def same(a, b) -> bool:
    pairs = ((getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a))
    return all(np.array_equal(x, y) for x, y in pairs)


def test_records_come_back_bit_for_bit(record, tmp_path):
    other = dataclasses.replace(record, mask=b"", frame=4)
    problems = [("a/ü#5", "frame_no_face", 'x "y"')]
    parts.keep(tmp_path / "deep" / "part", [record, other], problems, "abc")
    records, told, digest = parts.recall(tmp_path / "deep" / "part")
    assert same(records[0], record) and same(records[1], other)
    assert records[0].landmarks.dtype == np.float32 and records[0].crop.dtype == np.int32
    assert (told, digest) == (problems, "abc")
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["part"]


def test_what_is_not_there_or_not_whole_is_made_again(record, tmp_path):
    path = tmp_path / "part"
    assert parts.recall(path) is None
    parts.keep(path, [record], [])
    whole = path.read_bytes()
    for damaged in (b"", whole[:20], whole[:-1], whole[:50] + b"?" + whole[51:]):
        path.write_bytes(damaged)
        assert parts.recall(path) is None
