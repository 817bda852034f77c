"""Whether variety helps: detectors trained on growing numbers of subsets of the fakes.

The subsets are found in a data-driven way, by k-means on features of the fakes, or are the
manipulations where these are known.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from sklearn.cluster import KMeans

from iid_jax.data import canvas, schema
from iid_jax.data.catalog import Catalog
from iid_jax.errors import DataError
from iid_jax.leakage import figures, probe
from iid_jax.leakage.network import Network, look, video_auc
from iid_jax.leakage.section import ALL, Section
from iid_jax.measures import Metric

NAME = "subsets"
AUC, FAKES = "video_auc", "fakes"
SHOWN = 8


class Division(NamedTuple):
    """Rows of training fakes (N,) and the subset of each (N,), 0 the one with the most."""

    rows: np.ndarray
    subset: np.ndarray

    @property
    def count(self) -> int:
        """How many subsets there are."""
        return int(self.subset.max()) + 1


class Part(Catalog):
    """A catalog of which some rows are never selected; row numbers stay the same."""

    def __init__(self, whole: Catalog, left_out: np.ndarray):
        self.__dict__.update(whole.__dict__)
        self._kept = np.ones(len(whole), bool)
        self._kept[left_out] = False

    def select(self, *given, **conditions) -> np.ndarray:
        """Returns the rows that meet every condition given and are not left out."""
        rows = super().select(*given, **conditions)
        return rows[self._kept[rows]]


def by_features(
    network: Network, catalog: Catalog, feature: str, count: int, seed: int, quiet: bool = False
) -> Division:
    """Returns the division of the training fakes by k-means on standardised features.

    The frames of a video stay together: what is clustered is their mean.

    Raises:
      DataError: there are fewer videos than subsets.
    """
    seen = look(network, catalog, catalog.select("train", label=schema.FAKE), [feature], quiet)
    video = catalog.columns["video_id"][seen.rows]
    names, index = np.unique(video, return_inverse=True)
    if len(names) < count:
        raise DataError(f"{catalog.name}: {len(names)} fake videos cannot make {count} subsets")
    values = seen.features[feature]
    sums = np.zeros((len(names), values.shape[1]))
    np.add.at(sums, index, values)
    means = sums / np.bincount(index)[:, None]
    found = KMeans(count, n_init=10, random_state=seed).fit(probe.scale_of(means)(means))
    return _sorted(seen.rows, found.labels_[index])


def by_method(catalog: Catalog) -> Division:
    """Returns the division of the training fakes by manipulation."""
    rows = catalog.select("train", label=schema.FAKE)
    return _sorted(rows, np.unique(catalog.columns["method"][rows], return_inverse=True)[1])


def part_of(catalog: Catalog, division: Division, count: int) -> Part:
    """Returns the catalog with the first `count` subsets alone in training."""
    return Part(catalog, division.rows[division.subset >= count])


def measure(
    catalog: Catalog,
    division: Division,
    train: Callable[[Part, int], Network],
    targets: Sequence[tuple[Catalog, str]],
    spec: canvas.CanvasSpec,
    bootstrap: int = 1000,
    seed: int = 0,
    quiet: bool = False,
) -> Section:
    """Returns the video AUC on every target of detectors trained on 1, 2, ... subsets.

    `train(part, count)` gives the detector trained on the first `count` subsets.
    """
    section = Section(NAME, details={"subset_of": _by_record(catalog, division)})
    points: dict[str, list] = {}
    for count in range(1, division.count + 1):
        network = train(part_of(catalog, division, count), count)
        for target, split in targets:
            data = f"{target.name}:{split}"
            seen = look(network, target, target.select(split), quiet=quiet)
            found = video_auc(target, seen, bootstrap, seed)
            section.add(network.name, data, ALL, AUC, found)
            fakes = int((division.subset < count).sum())
            section.add(network.name, data, ALL, FAKES, Metric(fakes))
            section.lose(f"{network.name}, {data}", seen.unreadable)
            if found.value is not None:
                points.setdefault(data, []).append((count, (found.value, found.lo, found.hi)))
    if points:
        drawn = figures.lines(
            {"trained on growing numbers of subsets": points}, "subsets", "video AUC"
        )
        section.figures["subsets"] = drawn, "Video AUC against the number of subsets"
    _draw_division(section, catalog, division, spec, seed)
    return section


def _sorted(rows: np.ndarray, subset: np.ndarray) -> Division:
    """Numbers subsets by their size, the largest first."""
    order = np.argsort(-np.bincount(subset), kind="stable")
    return Division(rows, np.argsort(order)[subset])


def _by_record(catalog: Catalog, division: Division) -> dict[str, int]:
    names = [catalog.record_id(row) for row in division.rows]
    return dict(zip(names, division.subset.tolist(), strict=True))


def _draw_division(
    section: Section, catalog: Catalog, division: Division, spec: canvas.CanvasSpec, seed: int
) -> None:
    rng, strips = np.random.default_rng([seed, 5]), []
    for number in range(division.count):
        rows = rng.permutation(division.rows[division.subset == number])[:SHOWN]
        pictures = [canvas.align(catalog.read(row), spec).image for row in rows]
        strips.append((f"subset {number + 1}", pictures))
    section.figures["subsets-pictures"] = figures.strips(strips), "Fakes of each subset, drawn"
    method, index = np.unique(catalog.columns["method"][division.rows], return_inverse=True)
    counts = np.zeros((division.count, len(method)))
    np.add.at(counts, (division.subset, index), 1)
    names = [f"subset {number + 1}" for number in range(division.count)]
    drawn = figures.table_heat("fakes", counts, names, method.tolist())
    section.figures["subsets-methods"] = drawn, "The subsets and the manipulations"
