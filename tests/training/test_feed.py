"""The feed: batches ahead of time, and going on where it was."""

import jax
import numpy as np

from iid_jax.data import pipeline
from iid_jax.models import InputSpec
from iid_jax.training import sharding, step
from iid_jax.training.feed import PREFETCH, Feed


class Counting:
    """Batches 0, 1, ..."""

    def __init__(self, count):
        self.count, self.next = count, 0

    def __iter__(self):
        return self

    def __next__(self):
        if self.next == self.count:
            raise StopIteration
        self.next += 1
        return {"image": np.full(2, self.next - 1), "note": np.array([7])}

    def seek(self, position):
        self.next = position


def _feed(batches):
    mesh = sharding.make_mesh(2, devices=jax.devices()[:1])
    return Feed(batches, sharding.batch_sharding(mesh), ("image",))


def test_every_batch_comes_once_and_in_order():
    seen = [int(fed.batch["image"][0]) for fed in _feed(Counting(5))]
    assert seen == [0, 1, 2, 3, 4]


def test_only_fed_arrays_go_to_the_device():
    batch, host = next(_feed(Counting(1)))
    assert isinstance(batch["image"], jax.Array)
    assert isinstance(host["note"], np.ndarray)
    assert set(batch) | set(host) == {"image", "note"} and not set(batch) & set(host)


def test_resumed_feed_goes_on_with_the_batch_after_although_more_were_read():
    feed = _feed(batches := Counting(9))
    assert int(next(feed).batch["image"][0]) == 0 and batches.next == PREFETCH
    feed.resume(1)
    assert [int(next(feed).batch["image"][0]) for _ in range(2)] == [1, 2]


def test_real_pipeline_goes_on_with_the_same_pictures(practice, tiny):
    def make():
        config = tiny.tiny_config().data
        batches = pipeline.train_iterator(practice, config, InputSpec(96), 6, 4, 5, seed=3)
        mesh = sharding.make_mesh(4, devices=jax.devices()[:1])
        return Feed(batches, sharding.batch_sharding(mesh), step.FED)

    whole = make()
    expected = [next(whole) for _ in range(3)]
    rest = make()
    rest.resume(2)
    found = next(rest)
    for name in step.FED:
        np.testing.assert_array_equal(found.batch[name], expected[2].batch[name])
