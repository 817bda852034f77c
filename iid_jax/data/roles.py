"""Who was what in the training of a detector, read from the catalog it was trained on."""

from collections.abc import Iterable

from iid_jax.data import schema
from iid_jax.data.catalog import Catalog
from iid_jax.leak_metrics import Roles


def roles(catalog: Catalog, methods: Iterable[str] = ()) -> Roles:
    """Returns who was what in the train split, of fakes only those of `methods` (empty: all)."""
    rows = catalog.select("train", methods=tuple(methods))
    label = catalog.columns["label"][rows]
    donors = catalog.columns["source_identity"][rows[label == schema.FAKE]]
    genuine = catalog.columns["identity"][rows[label == schema.REAL]]
    return Roles(frozenset(donors.tolist()) - {""}, frozenset(genuine.tolist()) - {""})
