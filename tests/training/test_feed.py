"""The feed: batches ahead of time, positions of what was handed out."""

import collections
import dataclasses
import multiprocessing

import jax
import numpy as np
import pytest

from iid_jax.data import pipeline
from iid_jax.errors import DataError
from iid_jax.models import InputSpec
from iid_jax.training import sharding, step
from iid_jax.training.feed import PREFETCH, Feed


class Counting:
    """Batches 0, 1, ... with a position as Grain's: bytes and NumPy integers inside."""

    def __init__(self, count):
        self.count, self.next = count, 0

    def __iter__(self):
        return self

    def __next__(self):
        if self.next == self.count:
            raise StopIteration
        self.next += 1
        return {"image": np.full(2, self.next - 1), "note": np.array([7])}

    def get_state(self):
        return {"place": {"next": np.int64(self.next), "raw": bytes([self.next, 255])}}

    def set_state(self, state):
        self.next = state["place"]["next"]
        assert state["place"]["raw"] == bytes([self.next, 255])


def _feed(batches):
    mesh = sharding.make_mesh(2, devices=jax.devices()[:1])
    return Feed(batches, sharding.batch_sharding(mesh), ("image",))


def test_every_batch_comes_once_and_in_order():
    seen = [int(fed.batch["image"][0]) for fed in _feed(Counting(5))]
    assert seen == [0, 1, 2, 3, 4]


def test_only_fed_arrays_go_to_the_device():
    batch, host, _ = next(_feed(Counting(1)))
    assert isinstance(batch["image"], jax.Array)
    assert isinstance(host["note"], np.ndarray)
    assert set(batch) | set(host) == {"image", "note"} and not set(batch) & set(host)


def test_position_is_that_of_the_batch_handed_out_although_more_were_read():
    batches = Counting(9)
    feed = _feed(batches)
    position = next(feed).position
    assert batches.next == PREFETCH
    assert position["place"]["next"] == 1


def test_resumed_feed_goes_on_with_the_batch_after():
    feed = _feed(Counting(9))
    next(feed)
    position = next(feed).position
    other = _feed(Counting(9))
    next(other)
    other.resume(position)
    assert int(next(other).batch["image"][0]) == 2


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.long)])
def test_real_pipeline_goes_on_with_the_same_pictures(practice, tiny, workers):
    config = dataclasses.replace(tiny.tiny_config().data, workers=workers)

    def make():
        batches = pipeline.train_iterator(practice, config, InputSpec(96), 6, 4, 5, seed=3)
        mesh = sharding.make_mesh(4, devices=jax.devices()[:1])
        return Feed(batches, sharding.batch_sharding(mesh), step.FED)

    whole = make()
    expected = [next(whole) for _ in range(3)]
    rest = make()
    rest.resume(expected[1].position)
    found = next(rest)
    assert found.position == expected[2].position
    for name in step.FED:
        np.testing.assert_array_equal(found.batch[name], expected[2].batch[name])


def test_worker_process_that_is_killed_is_told_in_a_line(practice, tiny):
    config = dataclasses.replace(tiny.tiny_config().data, workers=1)
    batches = pipeline.train_iterator(practice, config, InputSpec(96), 6, 4, 500, seed=3)
    feed = Feed(batches, sharding.batch_sharding(sharding.make_mesh(4, 1, jax.devices()[:1])), ())
    next(feed)
    (worker,) = multiprocessing.active_children()
    worker.kill()
    with pytest.raises(DataError, match=r"exit code -9.*goes on from the newest checkpoint"):
        collections.deque(feed, maxlen=0)
