"""Which measurements there are, their flags, and how flags become a measurement."""

import argparse
import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from iid_jax.errors import DataError, UsageError, nearest

if TYPE_CHECKING:
    from iid_jax.data.catalog import Catalog
    from iid_jax.leakage.network import Network
    from iid_jax.leakage.section import Section

# The flags that belong to a measurement, beside those of all.
FLAGS = {
    "leak": (),
    "probe": ("feature", "no_controls"),
    "influence": ("images", "contexts", "baseline"),
    "embedding": ("feature", "people"),
    "subsets": ("config", "subsets", "by"),
    "cam": ("feature", "images"),
}
FEATURES = {"probe": "embedding", "embedding": "embedding", "cam": "map"}
DIVISIONS = ("features", "method")


class Job(NamedTuple):
    """What is measured: detectors, data sets with their split, the folder, and the flags.

    `train(config, folder, quiet, part, count)` gives a detector trained on a part of the fakes.
    """

    networks: "list[Network]"
    targets: "list[tuple[Catalog, str]]"
    out: Path
    flags: argparse.Namespace
    train: "Callable[..., Network]"


def run(job: Job) -> "Section":
    """Returns the measurement that the flags name."""
    return _MEASURE[job.flags.measurement](job)


def _options(job: Job, **flags: str) -> dict[str, Any]:
    """The flags of a measurement as its arguments, {argument: flag}; what was not given is not."""
    given = {name: getattr(job.flags, flag) for name, flag in flags.items()}
    if "feature" in given:
        given["feature"] = given["feature"] or FEATURES[job.flags.measurement]
    given = {name: value for name, value in given.items() if value is not None}
    return {**given, "seed": job.flags.seed, "quiet": job.flags.quiet}


def _leak(job: Job) -> "Section":
    from iid_jax.data import people
    from iid_jax.data.catalog import open_catalog
    from iid_jax.leakage import leak

    def home(network):
        name = people.data_name(network.loaded.config.data)
        try:
            return leak.Home(network, open_catalog(name, job.flags.data_dir))
        except DataError as error:
            return leak.Home(network, None, str(error))

    homes = [home(network) for network in job.networks]
    if all(home.catalog is None for home in homes):
        raise DataError(homes[0].reason)
    return leak.measure(homes, job.flags.bootstrap, job.flags.seed, job.flags.quiet)


def _probe(job: Job) -> "Section":
    from iid_jax.leakage import existence

    options = _options(job, feature="feature", bootstrap="bootstrap")
    controls = not job.flags.no_controls
    return existence.measure(job.networks, job.targets, controls=controls, **options)


def _influence(job: Job) -> "Section":
    from iid_jax.leakage import influence
    from iid_jax.leakage.masked import BASELINES

    kinds = tuple((job.flags.baseline or ",".join(BASELINES)).split(","))
    for kind in kinds:
        if kind not in BASELINES:
            raise UsageError(f"--baseline: unknown {kind!r}{nearest(kind, BASELINES)}")
    plan = influence.Plan(baselines=kinds, bootstrap=job.flags.bootstrap, seed=job.flags.seed)
    given = {name: getattr(job.flags, name) for name in ("images", "contexts")}
    plan = plan._replace(**{name: value for name, value in given.items() if value})
    return influence.measure(job.networks, job.targets, plan, job.out / "work", job.flags.quiet)


def _embedding(job: Job) -> "Section":
    from iid_jax.leakage import embedding

    return embedding.measure(
        job.networks, job.targets, **_options(job, feature="feature", people="people")
    )


def _cam(job: Job) -> "Section":
    from iid_jax.leakage import pointing

    options = _options(job, feature="feature", count="images", bootstrap="bootstrap")
    return pointing.measure(job.networks, job.targets, **options)


def _subsets(job: Job) -> "Section":
    from iid_jax import config_file
    from iid_jax.data import people
    from iid_jax.data.catalog import open_catalog
    from iid_jax.leakage import subsets

    config = config_file.load(job.flags.config, job.flags.overrides)
    catalog = open_catalog(people.data_name(config.data), job.flags.data_dir)
    (network,) = job.networks
    if job.flags.by == "method":
        division = subsets.by_method(catalog)
    else:
        feature = "artifact" if network.loaded.config.model.adm else "embedding"
        options = job.flags.subsets or 4, job.flags.seed, job.flags.quiet
        division = subsets.by_features(network, catalog, feature, *options)
    train = functools.partial(job.train, config, job.out, job.flags.quiet)
    options = _options(job, bootstrap="bootstrap")
    return subsets.measure(catalog, division, train, job.targets, network.spec, **options)


_MEASURE: "dict[str, Callable[[Job], Section]]" = {
    "leak": _leak,
    "probe": _probe,
    "influence": _influence,
    "embedding": _embedding,
    "subsets": _subsets,
    "cam": _cam,
}
