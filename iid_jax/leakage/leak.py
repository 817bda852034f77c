"""The behavioural measure: does the score single out genuine pictures of the training's donors?"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from iid_jax.data import sampler, schema
from iid_jax.data.catalog import Catalog
from iid_jax.data.roles import roles
from iid_jax.leak_metrics import DONORS_ABOVE, FAMILIARITY, LEAK, Faces, donors_above, leak_aucs
from iid_jax.leakage import figures
from iid_jax.leakage.network import Network, Seen, look, video_auc
from iid_jax.leakage.section import ALL, Section
from iid_jax.measures import Metric

NAME = "leak"
AUC, DONORS, GAP, ADM = "video_auc", "train_donors", "identity_gap", "adm"
NO_PROBE = "the data set has no probe split: genuine pictures of training people, donors included"


class Home(NamedTuple):
    """A detector and the data set it was trained on; None and the reason where it is not there."""

    network: Network
    catalog: Catalog | None
    reason: str = ""


def measure(
    homes: Sequence[Home], bootstrap: int = 1000, seed: int = 0, quiet: bool = False
) -> Section:
    """Returns leak and familiarity AUC of every detector, on the data set it was trained on.

    Beside them stand the share of the donors' genuine pictures above the score that 90 % of new
    people's pass, the number of donors, and the video AUC on new people.
    """
    section = Section(NAME, details={GAP: {}, ADM: {}})
    for home in homes:
        config = home.network.loaded.config.data
        section.details[GAP][home.network.name] = config.identity_gap
        section.details[ADM][home.network.name] = home.network.loaded.config.model.adm
        if home.catalog is None:
            _missing(section, home.network.name, config.name, home.reason)
        elif not len(home.catalog.select("probe")):
            _missing(section, home.network.name, home.catalog.name, NO_PROBE)
        else:
            _measure(section, home.network, home.catalog, (bootstrap, seed), quiet)
    _draw(section)
    return section


def _measure(
    section: Section, network: Network, catalog: Catalog, drawn: tuple[int, int], quiet: bool
) -> None:
    known = roles(catalog, sampler.chosen_methods(catalog, network.loaded.config.data))
    test = look(network, catalog, catalog.select("test"), quiet=quiet)
    probe = look(network, catalog, catalog.select("probe", label=schema.REAL), quiet=quiet)
    label = catalog.columns["label"][test.rows]
    new = _faces(catalog, test, label == schema.REAL)
    met = _faces(catalog, probe, np.ones(len(probe.rows), bool))
    found = leak_aucs(known, met, new, *drawn)
    found[DONORS_ABOVE] = donors_above(known, met, new, *drawn)
    found[AUC] = video_auc(catalog, test, *drawn)
    found[DONORS] = Metric(len(known.donors))
    for metric, measured in found.items():
        section.add(network.name, f"{catalog.name}:test", ALL, metric, measured)
    section.lose(network.name, test.unreadable + probe.unreadable)


def _faces(catalog: Catalog, seen: Seen, chosen: np.ndarray) -> Faces:
    return Faces(catalog.columns["identity"][seen.rows[chosen]], seen.logit[chosen])


def _missing(section: Section, detector: str, data: str, reason: str) -> None:
    for metric in (LEAK, FAMILIARITY, DONORS_ABOVE):
        section.add(detector, data, ALL, metric, Metric(None, reason=reason))


def _draw(section: Section) -> None:
    titles = {
        LEAK: "leak AUC (0.5: none)",
        FAMILIARITY: "familiarity AUC (0.5: none)",
        DONORS_ABOVE: "donors above 90 % (0.1: none)",
        AUC: "video AUC, new people",
    }
    groups = {title: {} for title in titles.values()}
    for row in section.rows:
        if row["metric"] in titles and row["value"] is not None:
            value = row["value"], row["lo"], row["hi"]
            groups[titles[row["metric"]]][row["detector"]] = value
    if any(groups.values()):
        caption = "Genuine pictures only: who is on them, read off the detector's score"
        section.figures["leak"] = figures.whiskers(groups), caption
    points: dict[str, list] = {}
    for row in section.rows:
        if row["metric"] == LEAK and row["value"] is not None:
            donors = section.value(detector=row["detector"], metric=DONORS)
            gap, adm = (section.details[kind][row["detector"]] for kind in (GAP, ADM))
            value = row["value"], row["lo"], row["hi"]
            name = f"{'with' if adm else 'without'} ADM, gap {gap}"
            points.setdefault(name, []).append((donors, value))
    if len({donors for series in points.values() for donors, _ in series}) > 1:
        series = {name: sorted(values) for name, values in points.items()}
        drawn = figures.lines({"leak AUC": series}, "donors in training", "leak AUC", 0.5)
        section.figures["leak-donors"] = drawn, "Leak AUC against the number of training donors"
