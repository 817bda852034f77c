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
from iid_jax.forgery import cross_blend
from iid_jax.forgery.generator import create


class Draw(NamedTuple):
    """One element of a batch: a row, the row that goes with it (or -1), its own seed.

    What goes with a fake is its pristine frame, with a genuine row to be made into a fake by
    `forgery` the donor's row. Such a fake and its genuine picture come out together: both have the
    same row and seed, and `genuine` says which of the two is wanted. A fake and its pristine frame
    have the same seed too, so both are jittered and augmented alike. `unpaired`: a genuine
    row drawn at random, since its fake has none that `config.pairing` asks for.
    """

    row: int
    partner: int
    seed: tuple[int, ...]
    forgery: str = "swap"
    genuine: bool = False
    unpaired: bool = False


class _Pair(NamedTuple):
    """Rows of the fake half, of what goes with it, and of the genuine half."""

    fake: int
    partner: int
    genuine: int
    unpaired: bool
    forgery: str


class Sampler:
    """Element k of a run of `steps` batches; even elements are fakes, odd ones genuine.

    Fakes: manipulation, then video, then frame, each uniform. Genuine: by `config.pairing`, or
    the picture that the fake was made of. Of several generators each is drawn as often. With
    several processes each sees its slice of every batch.

    Raises:
      DataError: training lacks genuine records or fakes, or no fake has the genuine row that the
        pairing asks for.
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
        self._makers = {name: create(name, config) for name in config.forgery}
        rows = catalog.select("train")
        genuine = rows[catalog.columns["label"][rows] == schema.REAL]
        sources = {maker.source for maker in self._makers.values()}
        fakes = self._read_fakes(catalog, config) if "fake" in sources else genuine[:0]
        if not len(genuine) or ("fake" in sources and not len(fakes)):
            raise DataError(
                f"{catalog.name}: training needs genuine and fake records, the train split has "
                f"{len(genuine)} and {len(fakes)}"
            )
        self._genuine = _by_video(catalog, genuine)
        self._of_person = _groups(catalog.columns["identity"], genuine)
        self._genuine_rows = set(genuine.tolist())
        self._donors = _Donors(catalog, genuine, config) if "people" in sources else None
        met = config.pairing == "independent" or any(len(self._beside(f)) for f in fakes.tolist())
        if len(fakes) and not met:
            raise DataError(
                f"{catalog.name}: config.data.pairing={config.pairing!r} finds no genuine picture "
                "for any fake of training; set --config.data.pairing=independent"
            )

    def _read_fakes(self, catalog: Catalog, config: DataConfig) -> np.ndarray:
        methods = chosen_methods(catalog, config)
        rows = catalog.select("train", label=schema.FAKE, methods=methods)
        method = catalog.columns["method"][rows]
        self._fakes = [_by_video(catalog, rows[method == name]) for name in methods]
        self._partner = dict(zip(rows.tolist(), catalog.pristine_of(rows).tolist(), strict=True))
        self._identity = {r: catalog.columns["identity"][r] for r in rows.tolist()}
        return rows

    def __len__(self) -> int:
        return self.steps * self.local

    def __getitem__(self, element: int) -> Draw:
        step, position = divmod(int(element), self.local)
        position += self._offset
        pair = self._batch(step)[position // 2]
        blended = self._makers[pair.forgery].source != "fake"
        # Twins differ in the artifact alone: a detector learns faster what that is.
        twins = blended or pair.partner == pair.genuine
        seed = (self.seed, step, position - position % 2 if twins else position)
        if blended:
            return Draw(pair.fake, pair.partner, seed, pair.forgery, bool(position % 2))
        if position % 2:
            return Draw(pair.genuine, -1, seed, unpaired=pair.unpaired)
        return Draw(pair.fake, pair.partner, seed)

    @functools.lru_cache(maxsize=8)
    def _batch(self, step: int) -> list[_Pair]:
        rng = np.random.default_rng((self.seed, step))
        return [self._draw_pair(rng) for _ in range(self.batch_size // 2)]

    def _draw_pair(self, rng: np.random.Generator) -> _Pair:
        names = self.config.forgery
        name = names[rng.integers(len(names))] if len(names) > 1 else names[0]
        source = self._makers[name].source
        if source == "fake":
            videos = self._fakes[rng.integers(len(self._fakes))]
            fake = _draw_frame(videos, rng)
            return _Pair(fake, self._partner[fake], *self._draw_genuine(fake, rng), name)
        row = _draw_frame(self._genuine, rng)
        donor = self._donors.draw(row, rng) if source == "people" else -1
        return _Pair(row, donor, row, False, name)

    def _draw_genuine(self, fake: int, rng: np.random.Generator) -> tuple[int, bool]:
        """A row of the genuine half, and whether it is one for want of what the pairing asks."""
        if self.config.pairing == "independent":
            return _draw_frame(self._genuine, rng), False
        beside = self._beside(fake)
        if len(beside):
            return int(rng.choice(beside)), False
        return _draw_frame(self._genuine, rng), True

    def _beside(self, fake: int) -> np.ndarray:
        """The genuine rows that may be paired with a fake: its pristine frame, or its person's."""
        if self.config.pairing == "people":
            return self._of_person.get(self._identity[fake], np.empty(0, int))
        partner = self._partner[fake]
        return np.array([partner] if partner in self._genuine_rows else [], int)


class _Donors:
    """For a genuine row another person's, whose landmarks are near."""

    def __init__(self, catalog: Catalog, rows: np.ndarray, config: DataConfig):
        self._rows, self._candidates = rows, config.cross_blend.candidates
        self._place = {row: place for place, row in enumerate(rows.tolist())}
        self._person = catalog.columns["identity"][rows]
        self._shapes = cross_blend.normalised(catalog.columns["landmarks"][rows])
        if len(set(self._person.tolist())) < 2:
            raise DataError(f"{catalog.name}: a blend across people needs two genuine people")

    def draw(self, row: int, rng: np.random.Generator) -> int:
        place = self._place[row]
        others = np.flatnonzero(self._person != self._person[place])
        if len(others) > self._candidates:
            others = rng.choice(others, self._candidates, replace=False)
        chosen = cross_blend.nearest(self._shapes[place], self._shapes[others])
        return int(self._rows[others[chosen]])


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
