"""The embedding: t-SNE of the last features, coloured by identity and by label."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from sklearn.manifold import TSNE
from sklearn.metrics import silhouette_score

from iid_jax.data import schema
from iid_jax.data.catalog import Catalog
from iid_jax.errors import DataError
from iid_jax.leakage import figures, probe
from iid_jax.leakage.network import Network, look
from iid_jax.leakage.section import ALL, Section
from iid_jax.measures import Metric

NAME = "embedding"
PEOPLE, PICTURES = 16, 40
PERPLEXITY = 30.0
BY_IDENTITY, BY_LABEL = "silhouette_identity", "silhouette_label"
LABELS = {schema.REAL: "genuine", schema.FAKE: "fake"}


class Placed(NamedTuple):
    """Points (N, 2) of N records with the number of the person and the label of each (N,)."""

    points: np.ndarray
    person: np.ndarray
    label: np.ndarray


def measure(
    networks: Sequence[Network],
    targets: Sequence[tuple[Catalog, str]],
    feature: str,
    people: int = PEOPLE,
    seed: int = 0,
    quiet: bool = False,
) -> Section:
    """Returns the embeddings of several detectors on several data sets, side by side.

    Of every data set the `people` with the most pictures, fakes counting for their target, up to
    40 each. The silhouettes are of the standardised features, not of the picture's two dimensions:
    1 where the groups lie apart, 0 where they lie in each other.
    """
    section = Section(NAME, details={"feature": feature, "points": {}})
    panels = []
    for network in networks:
        for catalog, split in targets:
            rows = choose(catalog, split, people, seed)
            seen = look(network, catalog, rows, [feature], quiet)
            values = probe.scale_of(seen.features[feature])(seen.features[feature])
            name, data = network.name, f"{catalog.name}:{split}"
            placed = place(catalog, seen.rows, values, seed)
            panels += _panels(f"{name}\n{data}", placed)
            for metric, groups in ((BY_IDENTITY, placed.person), (BY_LABEL, placed.label)):
                section.add(name, data, ALL, metric, silhouette(values, groups))
            section.lose(f"{name}, {data}", seen.unreadable)
    drawn = figures.embedding(panels, columns=2 * len(targets))
    caption = f"t-SNE of {feature}, seed {seed}; by person (a cross is a fake of them) and label"
    section.figures["embedding"] = drawn, caption
    return section


def choose(catalog: Catalog, split: str, people: int, seed: int) -> np.ndarray:
    """Returns the rows, up to 40 a person, of the people with the most pictures in a split.

    Raises:
      DataError: fewer than two people are known there.
    """
    rows = catalog.select(split)
    identity = catalog.columns["identity"][rows]
    names, counts = np.unique(identity[identity != ""], return_counts=True)
    if len(names) < 2:
        raise DataError(f"{catalog.name}: split {split} has {len(names)} known people, 2 needed")
    rng = np.random.default_rng([seed, 2])
    order = np.lexsort([rng.random(len(names)), -counts])[:people]
    chosen = [
        rng.permutation(rows[identity == name])[:PICTURES] for name in sorted(names[order].tolist())
    ]
    return np.sort(np.concatenate(chosen))


def place(catalog: Catalog, rows: np.ndarray, features: np.ndarray, seed: int) -> Placed:
    """Returns the t-SNE of standardised features (N, D); the same seed gives the same picture."""
    perplexity = min(PERPLEXITY, max(2.0, (len(features) - 1) / 4))
    model = TSNE(init="pca", perplexity=perplexity, random_state=seed)
    points = model.fit_transform(features)
    person = np.unique(catalog.columns["identity"][rows], return_inverse=True)[1]
    return Placed(points, person, catalog.columns["label"][rows])


def silhouette(features: np.ndarray, groups: np.ndarray) -> Metric:
    """Returns the mean silhouette of groups (N,) of features (N, D), -1 to 1."""
    count = len(np.unique(groups))
    if not 2 <= count < len(groups):
        return Metric(None, reason=f"{count} groups of {len(groups)} pictures")
    return Metric(float(silhouette_score(features, groups)), n_videos=len(groups))


def _panels(title: str, placed: Placed) -> list[tuple]:
    fake = placed.label == schema.FAKE
    return [
        (f"{title}, by person", placed.points, placed.person, {}, fake),
        (f"{title}, by label", placed.points, placed.label, LABELS, np.zeros(len(fake), bool)),
    ]
