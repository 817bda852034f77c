"""The premise: is the identity of a fake its target's, its donor's, or nobody's?

A probe of genuine faces is applied to fakes. It is fitted to other clips of the targets than the
ones that the fakes were made from, so that a background cannot tell who was the target; where too
few people have several clips it is fitted to another part of the same one, and a note says so. The
pristine frames of the same fakes, under the same probe, are what the fakes are compared with.
"""

from typing import NamedTuple

import numpy as np

from iid_jax.data import schema
from iid_jax.leakage import figures, probe
from iid_jax.leakage.network import Network, Seen, look
from iid_jax.leakage.section import Section, mean
from iid_jax.leakage.takes import SAME_CLIP, Setting
from iid_jax.measures import Metric

TARGET, DONOR, ENTROPY = "top1_target", "top1_donor", "entropy"
TO_TARGET, TO_DONOR, TO_OTHERS = "distance_target", "distance_donor", "distance_others"
PRISTINE = "pristine"
NOTHING = "no fake of this split has a pristine frame among the pictures that the probe can spare"
SAME_BACKGROUND = (
    "too few people have several clips, so the premise's probe is fitted to other frames of the "
    "clips that the fakes were made from: a background alone can name a fake's target."
)
PANELS = {
    "share named first": {TARGET: "its target", DONOR: "its donor"},
    "distance (1: a pristine frame's to its own person)": {
        TO_TARGET: "to its target",
        TO_DONOR: "to its donor",
        TO_OTHERS: "to the others",
    },
    "entropy, nats": {ENTROPY: "of the answer"},
}


class Space(NamedTuple):
    """A fitted probe and where people lie in its standardised features.

    `centroids` (K, D) of the `people` (K,); `unit` is the mean distance of a pristine frame to
    its own person's.
    """

    probe: probe.Probe
    scale: probe.Scale
    people: np.ndarray
    centroids: np.ndarray
    unit: float = 1.0


def measure(
    section: Section,
    network: Network,
    feature: str,
    l2: float,
    setting: Setting,
    seen: Seen,
    quiet: bool,
) -> None:
    """Adds, by manipulation: top-1 to target and donor, entropy in nats, distances to centroids.

    `seen` holds the genuine pictures of the setting, `l2` is the penalty chosen on them. Distances
    are Euclidean between standardised features and a person's mean, 1 being a pristine frame's to
    its own person. Donors without a genuine picture are left out of what is about them.
    """
    fakes, partners = _fakes(setting)
    if not len(fakes):
        missing = Metric(None, reason=NOTHING)
        section.add(network.name, setting.data, PRISTINE, TARGET, missing)
        return
    note = f"{setting.data}: {SAME_BACKGROUND}"
    if setting.takes.apart == SAME_CLIP and note not in section.notes:
        section.notes.append(note)
    made = look(network, setting.catalog, fakes, [feature], quiet)
    pristine = np.isin(seen.rows, partners)
    real_rows, real = seen.rows[pristine], seen.features[feature][pristine]
    space = _space(setting, seen, feature, l2)
    own = _distances(space, space.scale(real))
    person = _person(setting, space, real_rows, "identity")
    space = space._replace(unit=float(own[np.arange(len(own)), person].mean()))
    _add(section, network.name, setting, PRISTINE, real_rows, real, space)
    methods = setting.catalog.columns["method"][made.rows]
    for name in np.unique(methods).tolist():
        chosen = methods == name
        values = made.features[feature][chosen]
        _add(section, network.name, setting, name, made.rows[chosen], values, space)


def draw(section: Section) -> None:
    """Adds a figure for every detector of which something was measured."""
    measured = [r for r in section.rows if r["value"] is not None]
    metrics = {metric for series in PANELS.values() for metric in series}
    names = dict.fromkeys(r["detector"] for r in measured if r["metric"] in metrics)
    for number, name in enumerate(names):
        rows = [r for r in measured if r["detector"] == name]
        panels = {
            title: {label: _by_method(rows, metric) for metric, label in series.items()}
            for title, series in PANELS.items()
        }
        caption = f"{name}: whose identity fakes have, by a probe of genuine pictures"
        section.figures[f"premise-{number}"] = figures.grouped(panels), caption


def _by_method(rows: list[dict], metric: str) -> dict[str, tuple]:
    return {r["method"]: (r["value"], r["lo"], r["hi"]) for r in rows if r["metric"] == metric}


def _fakes(setting: Setting) -> tuple[np.ndarray, np.ndarray]:
    """Rows of fakes whose pristine frame the premise's probe does not see, and of those frames.

    They are of targets who have pictures on the other side as well.
    """
    catalog = setting.catalog
    rows = catalog.select(setting.split, label=schema.FAKE)
    partners = catalog.pristine_of(rows)
    identity = catalog.columns["identity"]
    known = np.isin(identity[rows], identity[_spared(setting)])
    chosen = np.isin(partners, setting.takes.fit) & known
    return rows[chosen], np.unique(partners[chosen])


def _spared(setting: Setting) -> np.ndarray:
    """Rows of genuine pictures that no fake of the premise was made from."""
    return np.concatenate([setting.takes.choose, setting.takes.test])


def _other_side(setting: Setting) -> tuple[np.ndarray, np.ndarray]:
    """Rows that the premise's probe is fitted to: other clips than the fakes', and their people.

    People of one clip only (donors that were never genuine in training) stand with that: they are
    answers that a fake can get, and no targets.
    """
    parts, identity = setting.takes, setting.catalog.columns["identity"]
    spared = _spared(setting)
    alone = parts.fit[~np.isin(identity[parts.fit], identity[spared])]
    rows = np.concatenate([spared, alone])
    return rows, np.unique(identity[rows])


def _space(setting: Setting, seen: Seen, feature: str, l2: float) -> Space:
    rows, people = _other_side(setting)
    chosen = np.isin(seen.rows, rows)
    values = seen.features[feature][chosen]
    scale = probe.scale_of(values)
    identity = setting.catalog.columns["identity"][seen.rows[chosen]]
    person = np.searchsorted(people, identity)
    features = scale(values)
    fitted = probe.fit(probe.Pictures(features, person), len(people), l2)
    sums = np.zeros((len(people), features.shape[1]))
    np.add.at(sums, person, features)
    counts = np.bincount(person, minlength=len(people))
    with np.errstate(invalid="ignore"):
        # A person none of whose pictures could be read has no place: NaN, left out of all means.
        centroids = sums / counts[:, None]
    return Space(fitted, scale, people, centroids)


def _distances(space: Space, features: np.ndarray) -> np.ndarray:
    """Distances (N, K) to the centroids, in units of the space."""
    squares = (features.astype(np.float64) ** 2).sum(1)[:, None] + (space.centroids**2).sum(1)
    cross = features.astype(np.float64) @ space.centroids.T
    return np.sqrt(np.maximum(squares - 2 * cross, 0.0)) / space.unit


def _person(setting: Setting, space: Space, rows: np.ndarray, column: str) -> np.ndarray:
    """The number of the person in a column of the catalog, -1 for one without a centroid."""
    names = setting.catalog.columns[column][rows]
    place = np.minimum(np.searchsorted(space.people, names), len(space.people) - 1)
    return np.where(space.people[place] == names, place, -1)


def _add(
    section: Section,
    detector: str,
    setting: Setting,
    method: str,
    rows: np.ndarray,
    values: np.ndarray,
    space: Space,
) -> None:
    features = space.scale(values)
    chances = space.probe.log_probabilities(features).astype(np.float64)
    first = chances.argmax(axis=1)
    distances = _distances(space, features)
    target = _person(setting, space, rows, "identity")
    donor = _person(setting, space, rows, "source_identity")
    each = np.arange(len(rows))
    others = distances.copy()
    others[each, target] = np.nan
    others[each[donor >= 0], donor[donor >= 0]] = np.nan
    found = {
        TARGET: (first == target).astype(float),
        ENTROPY: -(np.exp(chances) * chances).sum(axis=1),
        TO_TARGET: distances[each, target],
        TO_OTHERS: np.nanmean(others, axis=1),
    }
    if method != PRISTINE:
        known = donor >= 0
        found[DONOR] = np.where(known, first == donor, np.nan)
        found[TO_DONOR] = np.where(known, distances[each, donor], np.nan)
    people = setting.catalog.columns["identity"][rows]
    for metric, measured in found.items():
        number = mean(people, measured, setting.bootstrap, setting.seed)
        section.add(detector, setting.data, method, metric, number)
