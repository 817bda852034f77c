"""Whether a detector's features hold identities: the probe over detectors and controls."""

import math
from collections.abc import Sequence

import numpy as np

from iid_jax.data.catalog import Catalog
from iid_jax.leakage import figures, premise, probe, takes
from iid_jax.leakage.network import Network, Seen, look, pixels, random_network
from iid_jax.leakage.section import ALL, Section, mean
from iid_jax.leakage.takes import Setting, Takes
from iid_jax.measures import Metric

NAME = "probe"
TOP1, TOP5, LOSS, PENALTY = "top1", "top5", "cross_entropy", "l2"
PIXELS = "24 x 24 grey pixels"


def measure(
    networks: Sequence[Network],
    targets: Sequence[tuple[Catalog, str]],
    feature: str,
    controls: bool = True,
    bootstrap: int = 1000,
    seed: int = 0,
    quiet: bool = False,
) -> Section:
    """Returns the probes of a named feature of several detectors, each on several data sets.

    With `controls` go a network of the first detector's architecture with random weights, and a
    probe of raw pixels. The premise is measured on the first data set's fakes.

    Raises:
      UsageError: a detector has no such feature.
      DataError: too few people, or records that cannot be read.
    """
    section = Section(NAME, details={"feature": feature, "curves": {}})
    looked_at = [*networks, random_network(networks[0], seed)] if controls else list(networks)
    for number, (catalog, split) in enumerate(targets):
        setting = Setting(catalog, split, takes.divide(catalog, split, seed), bootstrap, seed)
        curves = {}
        for network in looked_at:
            seen = look(network, catalog, _rows(setting.takes), [feature], quiet)
            l2 = _probe(section, setting, network.name, seen, feature, curves)
            if number == 0 and network in networks:
                premise.measure(section, network, feature, l2, setting, seen, quiet)
        if controls:
            seen = pixels(catalog, _rows(setting.takes), networks[0].spec, quiet)
            _probe(section, setting, PIXELS, seen, "pixels", curves)
        _describe(section, setting)
        section.details["curves"][setting.data] = curves
        _draw(section, setting, curves, len(targets) > 1)
    premise.draw(section)
    return section


def chance(classes: int) -> dict[str, float]:
    """Returns what a guess gets: top-1, top-5 and the cross entropy in nats."""
    return {TOP1: 1 / classes, TOP5: min(5 / classes, 1.0), LOSS: math.log(classes)}


def _rows(parts: Takes) -> np.ndarray:
    return np.concatenate([parts.fit, parts.choose, parts.test])


def _describe(section: Section, setting: Setting) -> None:
    parts, classes = setting.takes, len(setting.takes.people)
    guess = chance(classes)
    for metric, value in guess.items():
        section.add("chance", setting.data, ALL, metric, Metric(value))
    section.notes.append(
        f"{setting.data}: {classes} people; {len(parts.fit)} genuine pictures fitted, "
        f"{len(parts.choose)} of other people than the tested ones chose the penalty, "
        f"{len(parts.test)} tested, from {parts.apart}. Chance: top-1 {guess[TOP1]:.4f}, "
        f"cross entropy {guess[LOSS]:.2f}."
    )


def _probe(
    section: Section,
    setting: Setting,
    name: str,
    seen: Seen,
    feature: str,
    curves: dict[str, list[dict[str, float]]],
) -> float:
    """Fits and tests one probe, adds its numbers and its curve, and returns its penalty."""
    parts, people = setting.takes, setting.takes.people
    section.lose(name, seen.unreadable)
    values = seen.features[feature]
    scale = probe.scale_of(values[np.isin(seen.rows, parts.fit)])
    sides = (parts.fit, parts.choose, parts.test)
    fitted, choosing, tested = (_pictures(setting, seen, values, scale, s) for s in sides)
    l2 = probe.choose(fitted, choosing, len(people))
    found = probe.fit(fitted, len(people), l2, tested=tested)
    curves[name] = found.curve
    rank, loss = probe.ranks(found, tested)
    who = people[tested.person]
    for metric, each in ((TOP1, rank < 1), (TOP5, rank < 5), (LOSS, loss)):
        measured = mean(who, each.astype(float), setting.bootstrap, setting.seed)
        section.add(name, setting.data, ALL, metric, measured)
    section.add(name, setting.data, ALL, PENALTY, Metric(l2))
    return l2


def _pictures(
    setting: Setting, seen: Seen, values: np.ndarray, scale: probe.Scale, rows: np.ndarray
) -> probe.Pictures:
    chosen = np.isin(seen.rows, rows)
    identity = setting.catalog.columns["identity"][seen.rows[chosen]]
    person = np.searchsorted(setting.takes.people, identity)
    return probe.Pictures(scale(values[chosen]), person)


def _draw(section: Section, setting: Setting, curves: dict, several: bool) -> None:
    suffix = f"-{setting.data.replace('/', '.').replace(':', '.')}" if several else ""
    guess = chance(len(setting.takes.people))
    drawn = figures.probe_curves(curves, guess[TOP1], guess[LOSS])
    caption = (
        f"{setting.data}: the probe while it is fitted, by step of L-BFGS from zero; dotted: chance"
    )
    section.figures[f"probe-curves{suffix}"] = drawn, caption
    groups = {
        title: {
            row["detector"]: (row["value"], row["lo"], row["hi"])
            for row in section.rows
            if (row["data"], row["metric"]) == (setting.data, metric)
        }
        for metric, title in ((TOP1, "top-1"), (TOP5, "top-5"), (LOSS, "cross entropy, nats"))
    }
    caption = f"{setting.data}: identity from frozen features, on {setting.takes.apart}"
    section.figures[f"probe{suffix}"] = figures.whiskers(groups), caption
