"""Batches on the devices ahead of time."""

import collections
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import NamedSharding

from iid_jax.training import sharding

PREFETCH = 2


class Fed(NamedTuple):
    """A batch on the devices, and what of it stays on the host."""

    batch: dict[str, jax.Array]
    host: dict[str, np.ndarray]


class Feed:
    """Yields `Fed`; `PREFETCH` batches wait on the devices.

    `batches` is a `data.pipeline.Batches`. Arrays named in `fed` go to the devices.
    """

    def __init__(self, batches: Any, placed: NamedSharding, fed: Sequence[str]):
        self._batches, self._sharding, self._fed = batches, placed, fed
        self._waiting: collections.deque[Fed] = collections.deque()

    def resume(self, step: int) -> None:
        """Goes on with the batch after those that `step` steps have had."""
        self._waiting.clear()
        self._batches.seek(step)

    def close(self) -> None:
        """Ends the worker processes, if there are any."""
        self._batches.close()

    def __iter__(self) -> "Feed":
        return self

    def __next__(self) -> Fed:
        while len(self._waiting) < PREFETCH and self._fetch():
            pass
        if not self._waiting:
            raise StopIteration
        return self._waiting.popleft()

    def _fetch(self) -> bool:
        batch = next(self._batches, None)
        if batch is None:
            return False
        host = {name: values for name, values in batch.items() if name not in self._fed}
        placed = sharding.to_devices({name: batch[name] for name in self._fed}, self._sharding)
        self._waiting.append(Fed(placed, host))
        return True
