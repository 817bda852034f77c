"""Batches on the devices ahead of time, each with the data position that belongs to it."""

import collections
import json
from collections.abc import Sequence
from typing import Any

from jax.sharding import NamedSharding

from iid_jax.training import sharding

PREFETCH = 2


class Feed:
    """Yields (batch, position after it); `PREFETCH` batches wait on the devices.

    `batches` is a Grain iterator. The position is that of the batch handed out, not of those
    read ahead, and is JSON. Arrays named in `fed` go to the devices, the others stay as they are.
    """

    def __init__(self, batches: Any, placed: NamedSharding, fed: Sequence[str]):
        self._batches, self._sharding, self._fed = batches, placed, fed
        self._waiting: collections.deque = collections.deque()

    def resume(self, position: Any) -> None:
        """Goes on after the batch that `position` came with."""
        self._waiting.clear()
        self._batches.set_state(_from_json(position))

    def __iter__(self) -> "Feed":
        return self

    def __next__(self) -> tuple[dict[str, Any], Any]:
        while len(self._waiting) < PREFETCH and self._fetch():
            pass
        if not self._waiting:
            raise StopIteration
        return self._waiting.popleft()

    def _fetch(self) -> bool:
        batch = next(self._batches, None)
        if batch is None:
            return False
        position = _to_json(self._batches.get_state())
        placed = sharding.to_devices({name: batch[name] for name in self._fed}, self._sharding)
        rest = {name: values for name, values in batch.items() if name not in placed}
        self._waiting.append(({**rest, **placed}, position))
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
