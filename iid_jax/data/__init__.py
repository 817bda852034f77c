"""Prepared data sets: records, catalogs and the batches that training and evaluation read."""

from collections.abc import Sequence
from typing import Any


def load(name: str, split: str, data_dir: str) -> Sequence[Any]:
    """Returns the records of a split of a prepared data set `name[/config]`, read when indexed.

    Raises:
      DataError: the data set is not prepared, or a record is damaged.
    """
    from iid_jax.data.catalog import open_catalog
    from iid_jax.data.records import Records

    catalog = open_catalog(name, data_dir)
    return Records(catalog, catalog.select(split))
