"""Faces found by two landmarkers don't mix: they are cut out and aligned in two ways.

An evaluation across two of them measures the difference too. Landmarks of drawn faces are known
and not found: every landmarker's are an approximation of those, so that crossing is told only.
"""

import os
from collections.abc import Iterable
from typing import Protocol

from iid_jax.config import Config
from iid_jax.data import people
from iid_jax.data.catalog import Catalog, open_catalog
from iid_jax.errors import DataError

# How the fingerprint of landmarks begins that come with the drawing.
EXACT = "drawn/"


class Trained(Protocol):
    """A detector: the configuration of its training and, "" where unknown, the landmarker."""

    config: Config
    landmarker: str


def notes(
    detectors: Iterable[Trained],
    catalogs: Iterable[Catalog],
    data_dir: str | os.PathLike,
    allowed: bool = False,
) -> list[str]:
    """Returns `note` of every detector and data set that has one, each line once.

    A detector that does not tell its landmarker is taken to have that of its data set, if there.

    Raises:
      DataError: see `note`.
    """
    trained = [d.landmarker or _at_home(d.config, data_dir) for d in detectors]
    lines = (note(t, catalog, allowed) for catalog in catalogs for t in trained)
    return list(dict.fromkeys(line for line in lines if line))


def note(trained: str, catalog: Catalog, allowed: bool = False) -> str:
    """Returns a line on what a detector meets in a data set, "" where it is what it knows.

    `trained` is the fingerprint of the landmarker of its training, "" where that is not known.

    Raises:
      DataError: the data set was made with another landmarker, and that is not `allowed`.
    """
    met = catalog.landmarker
    if trained == met:
        return ""
    if not trained or not met:
        whose = catalog.name if trained else "the detector's training data"
        return f"note: it is not known which landmarker found the faces of {whose}"
    told = (
        f"the faces of {catalog.name} were found by {met}, those of the detector's training data "
        f"by {trained}"
    )
    exact = EXACT in (trained[: len(EXACT)], met[: len(EXACT)])
    if not exact and not allowed:
        raise DataError(
            f"{told}; prepare one of them again with the other's --landmarker, or accept with "
            "--allow_other_landmarker that the numbers hold this difference too"
        )
    because = "landmarks of drawn faces are exact" if exact else "--allow_other_landmarker"
    return f"note: {told} ({because}); the numbers hold this difference too"


def _at_home(config: Config, data_dir: str | os.PathLike) -> str:
    try:
        return open_catalog(people.data_name(config.data), data_dir).landmarker
    except DataError:
        return ""
