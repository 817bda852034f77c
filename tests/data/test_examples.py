"""Records in the form of TFDS: what goes in comes out, as TFDS itself reads it."""

import dataclasses

import numpy as np
import pytest

from iid_jax.data import examples, schema

FIELDS = [field.name for field in dataclasses.fields(schema.Record)]


@pytest.fixture
def record():
    rng = np.random.default_rng(0)
    landmarks = rng.uniform(60, 130, (68, 2)).astype(np.float32)
    picture = rng.integers(0, 256, (200, 200, 3), np.uint8)
    return schema.make_record(
        picture, landmarks, np.ones((200, 200), np.float32), label=1, method="m", split="train",
        video_id="m/a_b", frame=3, identity="ä", source_identity="b", time=0.12,
        detector_score=1.7, quality="tiny,profile",
    )  # fmt: skip


def serialized(record):
    features = examples.features()
    return features.serialize_example(features.encode_example(examples.to_example(record)))


def test_a_record_passes_through_its_file_unchanged(record):
    again = examples.parse(serialized(record))
    for name in FIELDS:
        found, expected = getattr(again, name), getattr(record, name)
        if isinstance(expected, float):
            # Stored as float32.
            assert found == np.float32(expected)
            continue
        np.testing.assert_array_equal(found, expected)
        assert getattr(found, "dtype", None) == getattr(expected, "dtype", None), name


def test_a_record_is_what_tfds_reads(record):
    stored = serialized(record)
    found, expected = examples.parse(stored), examples.features().deserialize_example_np(stored)
    assert sorted(expected) == sorted(FIELDS)
    for name, value in expected.items():
        ours = getattr(found, name)
        value = value.decode() if isinstance(ours, str) else value
        np.testing.assert_array_equal(ours, value)
        assert type(ours) is type(value), name


@pytest.mark.parametrize("name", ["image", "label", "landmarks", "sha256"])
def test_an_example_without_a_column_is_refused(record, name):
    example = examples.tf_example_generated_pb2.Example.FromString(serialized(record))
    del example.features.feature[name]
    with pytest.raises(ValueError, match=name):
        examples.parse(example.SerializeToString())


def test_a_column_of_another_shape_is_refused(record):
    example = examples.tf_example_generated_pb2.Example.FromString(serialized(record))
    example.features.feature["crop"].int64_list.value.append(7)
    with pytest.raises(ValueError, match="reshape"):
        examples.parse(example.SerializeToString())


def test_what_is_no_example_is_refused():
    with pytest.raises(ValueError, match=r"no tf\.train\.Example"):
        examples.parse(b"\xff" * 40)
