"""A sequence of records, as notebooks and scripts want to walk over them."""

from collections.abc import Sequence

import numpy as np

from iid_jax.data.catalog import Catalog
from iid_jax.data.schema import Record


class Records(Sequence[Record]):
    """The chosen rows of a catalog; a slice is a sequence of the same kind."""

    def __init__(self, catalog: Catalog, rows: np.ndarray):
        self.catalog, self.rows = catalog, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return Records(self.catalog, self.rows[index])
        return self.catalog.read(self.rows[index])
