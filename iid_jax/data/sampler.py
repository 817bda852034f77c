"""Which records make up which batch: a pure function of the seed and the batch's number.

So the worker count and a restart change nothing: element k of the run can be drawn at any time.
"""

import functools
from typing import NamedTuple

import numpy as np

from iid_jax.config import DataConfig
from iid_jax.data import schema
from iid_jax.data.catalog import Catalog
from iid_jax.errors import DataError, nearest


class Draw(NamedTuple):
    """One element of a batch: a row, the row of its pristine partner (or -1), its own seed."""

    row: int
    partner: int
    seed: tuple[int, ...]


class Sampler:
    """Element k of a run of `steps` batches; even elements are fakes, odd ones genuine.

    Fakes: manipulation, then video, then frame, each uniform. Genuine: by `config.pairing`.
    With several processes each sees its slice of every batch.
    """

    def __init__(
        self,
        catalog: Catalog,
        config: DataConfig,
        batch_size: int,
        steps: int,
        seed: int,
        process_index: int = 0,
        process_count: int = 1,
    ):
        if batch_size % (2 * process_count):
            raise DataError(
                f"a batch of {batch_size} cannot be halved over {process_count} processes"
            )
        self.config, self.steps, self.seed = config, steps, seed
        self.batch_size, self.local = batch_size, batch_size // process_count
        self._offset = process_index * self.local
        methods = chosen_methods(catalog, config)
        rows = catalog.select("train", methods=methods)
        label = catalog.columns["label"][rows]
        fakes, genuine = rows[label == schema.FAKE], rows[label == schema.REAL]
        if not len(fakes) or not len(genuine):
            raise DataError(
                f"{catalog.name}: training needs genuine and fake records, the train split has "
                f"{len(genuine)} and {len(fakes)}"
            )
        method = catalog.columns["method"][fakes]
        self._fakes = [_by_video(catalog, fakes[method == name]) for name in methods]
        self._genuine = _by_video(catalog, genuine)
        self._partner = dict(zip(fakes.tolist(), catalog.pristine_of(fakes).tolist(), strict=True))
        self._identity = {r: catalog.columns["identity"][r] for r in fakes.tolist()}
        self._of_person = _groups(catalog.columns["identity"], genuine)
        self._genuine_rows = set(genuine.tolist())

    def __len__(self) -> int:
        return self.steps * self.local

    def __getitem__(self, element: int) -> Draw:
        step, position = divmod(int(element), self.local)
        position += self._offset
        fake, genuine = self._batch(step)[position // 2]
        seed = (self.seed, step, position)
        if position % 2:
            return Draw(genuine, -1, seed)
        return Draw(fake, self._partner[fake], seed)

    def __repr__(self) -> str:
        # Grain stores this in its checkpoints and compares it on restoring.
        return f"Sampler(seed={self.seed}, steps={self.steps}, batch_size={self.batch_size})"

    @functools.lru_cache(maxsize=8)
    def _batch(self, step: int) -> list[tuple[int, int]]:
        rng = np.random.default_rng((self.seed, step))
        pairs = []
        for _ in range(self.batch_size // 2):
            videos = self._fakes[rng.integers(len(self._fakes))]
            fake = _draw_frame(videos, rng)
            pairs.append((fake, self._draw_genuine(fake, rng)))
        return pairs

    def _draw_genuine(self, fake: int, rng: np.random.Generator) -> int:
        partner = self._partner[fake]
        if self.config.pairing == "paired" and partner in self._genuine_rows:
            return partner
        if self.config.pairing == "people":
            rows = self._of_person.get(self._identity[fake])
            if rows is not None:
                return int(rng.choice(rows))
        return _draw_frame(self._genuine, rng)


def chosen_methods(catalog: Catalog, config: DataConfig) -> tuple[str, ...]:
    """Returns the manipulations to train on: `methods` (all when empty) without `without`.

    Raises:
      DataError: one of them is not in the data set, or none is left.
    """
    present = catalog.methods("train")
    for name in (*config.methods, *config.without):
        if name not in present:
            raise DataError(f"{catalog.name} has no manipulation {name!r}{nearest(name, present)}")
    chosen = tuple(m for m in config.methods or present if m not in config.without)
    if not chosen:
        raise DataError(f"{catalog.name}: no manipulation is left to train on")
    return chosen


def _draw_frame(videos: list[np.ndarray], rng: np.random.Generator) -> int:
    rows = videos[rng.integers(len(videos))]
    return int(rows[rng.integers(len(rows))])


def _by_video(catalog: Catalog, rows: np.ndarray) -> list[np.ndarray]:
    return list(_groups(catalog.columns["video_id"], rows).values())


def _groups(column: np.ndarray, rows: np.ndarray) -> dict[str, np.ndarray]:
    order = rows[np.argsort(column[rows], kind="stable")]
    names, first = np.unique(column[order], return_index=True)
    return dict(zip(names.tolist(), np.split(order, first[1:]), strict=True))
