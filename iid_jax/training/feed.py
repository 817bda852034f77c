"""Batches on the devices ahead of time, each with the data position that belongs to it."""

import collections
import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import NamedSharding

from iid_jax.errors import DataError, first_line
from iid_jax.training import sharding

PREFETCH = 2
# What Grain says of a worker process that ended by itself.
_LOST_WORKER = "Worker process was terminated"


class Fed(NamedTuple):
    """A batch on the devices, what of it stays on the host, and the data position after it."""

    batch: dict[str, jax.Array]
    host: dict[str, np.ndarray]
    position: Any


class Feed:
    """Yields `Fed`; `PREFETCH` batches wait on the devices.

    `batches` is a Grain iterator. The position is that of the batch handed out, not of those
    read ahead, and is JSON. Arrays named in `fed` go to the devices. A worker process that is gone
    is a DataError.
    """

    def __init__(self, batches: Any, placed: NamedSharding, fed: Sequence[str]):
        self._batches, self._sharding, self._fed = batches, placed, fed
        self._waiting: collections.deque[Fed] = collections.deque()

    def resume(self, position: Any) -> None:
        """Goes on after the batch that `position` came with."""
        self._waiting.clear()
        self._batches.set_state(_from_json(position))

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
        try:
            batch = next(self._batches, None)
        except RuntimeError as error:
            if _LOST_WORKER not in str(error):
                raise
            raise DataError(
                f"{first_line(error)} It made training samples; -9 is mostly a lack of memory. The "
                "same command goes on from the newest checkpoint"
            ) from error
        if batch is None:
            return False
        position = _to_json(self._batches.get_state())
        host = {name: values for name, values in batch.items() if name not in self._fed}
        placed = sharding.to_devices({name: batch[name] for name in self._fed}, self._sharding)
        self._waiting.append(Fed(placed, host, position))
        return True


def _to_json(position: Any) -> Any:
    return json.loads(json.dumps(position, default=_plain))


def _plain(value: Any) -> Any:
    """Grain's positions hold bytes (several workers) and NumPy integers."""
    return {"bytes": value.decode("latin-1")} if isinstance(value, bytes) else int(value)


def _from_json(stored: Any) -> Any:
    if not isinstance(stored, dict):
        return stored
    if set(stored) == {"bytes"}:
        return stored["bytes"].encode("latin-1")
    return {key: _from_json(value) for key, value in stored.items()}
