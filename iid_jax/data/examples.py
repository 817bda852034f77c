"""Records as TFDS stores them: a tf.train.Example each, image and mask as encoded bytes."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from google.protobuf import message
from tensorflow_datasets.proto import tf_example_generated_pb2

from iid_jax.data.schema import SCALARS, TENSORS, TEXTS, Record


def features() -> tfds.features.FeaturesDict:
    """Returns the TFDS features of a Record."""
    described = {name: tfds.features.Scalar(kind) for name, kind in SCALARS.items()}
    for name, (shape, kind) in TENSORS.items():
        described[name] = tfds.features.Tensor(shape=shape, dtype=kind)
    described.update({name: tfds.features.Text() for name in (*TEXTS, "image", "mask")})
    return tfds.features.FeaturesDict(described)


def to_example(record: Record) -> dict[str, Any]:
    """Returns the record as TFDS takes it."""
    return {f.name: getattr(record, f.name) for f in dataclasses.fields(record)}


def parse(serialized: bytes) -> Record:
    """Returns the Record of an example as it lies in the file.

    TFDS's own parser serves any features, and takes four times as long for these.

    Raises:
      ValueError: it is no example, one without a column, or a column has another shape.
    """
    try:
        found = tf_example_generated_pb2.Example.FromString(serialized).features.feature
    except message.DecodeError as error:
        raise ValueError(f"no tf.train.Example ({error})") from error
    values: dict[str, Any] = {name: _bytes(found, name).decode() for name in TEXTS}
    for name, kind in SCALARS.items():
        (values[name],) = _numbers(found, name, kind)
    for name, (shape, kind) in TENSORS.items():
        values[name] = _array(found, name, shape, kind)
    return Record(image=_bytes(found, "image"), mask=_bytes(found, "mask"), **values)


def _array(found: Mapping[str, Any], name: str, shape: tuple[int, ...], kind: type) -> np.ndarray:
    return np.array(_numbers(found, name, kind), kind).reshape(shape)


def _numbers(found: Mapping[str, Any], name: str, kind: type) -> Sequence[int | float]:
    feature = _feature(found, name)
    held = feature.int64_list if issubclass(kind, np.integer) else feature.float_list
    return held.value


def _bytes(found: Mapping[str, Any], name: str) -> bytes:
    (value,) = _feature(found, name).bytes_list.value
    return value


def _feature(found: Mapping[str, Any], name: str) -> Any:
    feature = found.get(name)
    if feature is None:
        raise ValueError(f"no column {name!r}")
    return feature
