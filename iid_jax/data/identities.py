"""The batches of a classifier of people: genuine pictures of training's people, labelled by who."""

import copy
from collections.abc import Iterable

import numpy as np

from iid_jax.config import DataConfig
from iid_jax.data import pipeline, schema
from iid_jax.data.canvas import CanvasSpec
from iid_jax.data.catalog import Catalog
from iid_jax.data.sampler import Draw
from iid_jax.data.samples import SampleMaker
from iid_jax.errors import DataError

# Of two people the classifier would look like a detector.
LEAST = 3


def apart(catalog: Catalog, others: Iterable[Catalog]) -> Catalog:
    """Returns the catalog, its training without the pictures that others hold out of theirs.

    A picture is told by its sha256. What is left out belongs to no split.
    """
    held = [o.columns["sha256"][o.columns["split"] != "train"] for o in others]
    left_out = (catalog.columns["split"] == "train") & np.isin(
        catalog.columns["sha256"], np.concatenate([np.zeros(0, str), *held])
    )
    found = copy.copy(catalog)
    found.columns = {**catalog.columns, "split": np.where(left_out, "", catalog.columns["split"])}
    return found


def people_of(catalog: Catalog) -> np.ndarray:
    """Returns the names, sorted, of the people that training shows as genuine.

    Raises:
      DataError: fewer than three are known.
    """
    names = np.array(sorted(catalog.people("train", label=schema.REAL)))
    if len(names) < LEAST:
        raise DataError(
            f"{catalog.name}: its training names {len(names)} genuine people, a classifier of "
            f"people needs {LEAST}; use a data set with identities"
        )
    return names


def held_out(catalog: Catalog) -> np.ndarray:
    """Returns the rows of the split `probe`, which no training sees, of training's people."""
    rows = catalog.select("probe", label=schema.REAL)
    return rows[np.isin(catalog.columns["identity"][rows], people_of(catalog))]


def train_iterator(
    catalog: Catalog,
    config: DataConfig,
    spec: CanvasSpec,
    feature: int,
    batch_size: int,
    steps: int,
    seed: int,
    process_index: int = 0,
    process_count: int = 1,
) -> pipeline.Batches:
    """Returns batches as of `pipeline.train_iterator`, of genuine pictures.

    A label is the number of the person in `people_of`; people are drawn alike, then the picture.
    """
    local = batch_size // process_count
    source = _People(catalog, local, process_index * local, steps, seed)
    maker = _Labelled(SampleMaker(catalog, config, spec, feature), source.number)
    return pipeline.Batches(source, maker, local, config.workers)


class _People:
    """Element k of a run, whatever was drawn before."""

    def __init__(self, catalog: Catalog, local: int, offset: int, steps: int, seed: int):
        self._local, self._offset = local, offset
        self._steps, self._seed = steps, seed
        rows = catalog.select("train", label=schema.REAL)
        identity = catalog.columns["identity"]
        self._rows = [rows[identity[rows] == name] for name in people_of(catalog)]
        self.number = {
            int(row): number for number, own in enumerate(self._rows) for row in own.tolist()
        }

    def __len__(self) -> int:
        return self._steps * self._local

    def __getitem__(self, element: int) -> Draw:
        step, position = divmod(int(element), self._local)
        seed = (self._seed, step, position + self._offset)
        rng = np.random.default_rng((*seed, 4))
        rows = self._rows[rng.integers(len(self._rows))]
        return Draw(int(rows[rng.integers(len(rows))]), -1, seed)


class _Labelled:
    """A sample with its person's number for a label."""

    def __init__(self, maker: SampleMaker, number: dict[int, int]):
        self._maker, self._number = maker, number

    def __call__(self, draw: Draw) -> dict[str, np.ndarray]:
        return {**self._maker(draw), "label": np.int32(self._number[draw.row])}
