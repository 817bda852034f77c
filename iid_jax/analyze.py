"""`analyze`: does a detector leak identities? One measurement at a time, on one growing page."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from iid_jax.errors import DataError, UsageError, nearest
from iid_jax.flags import Parser, parse_data

if TYPE_CHECKING:
    from iid_jax.data.catalog import Catalog
    from iid_jax.leakage.network import Network
    from iid_jax.leakage.section import Section

FAILED = 3
# The flags that belong to a measurement, beside those of all.
MEASUREMENTS = {
    "leak": (),
    "probe": ("feature", "no_controls"),
    "influence": ("images", "contexts", "baseline"),
    "embedding": ("feature", "people"),
    "cam": ("feature", "images"),
}
DEFAULTS = {"feature": {"probe": "embedding", "embedding": "embedding", "cam": "map"}}


class Job(NamedTuple):
    """What is measured: detectors, data sets with their split, the folder, and the flags."""

    networks: "list[Network]"
    targets: "list[tuple[Catalog, str]]"
    out: Path
    flags: argparse.Namespace


def main(argv: list[str]) -> int:
    """Measures, writes results.json, pictures and leakage.html; 3 where pictures were unusable."""
    flags = _parser().parse(argv)
    _check(flags)

    from iid_jax.evaluation import summary
    from iid_jax.leakage import section

    out = Path(flags.out)
    summary.check_out(out, None)
    section.read(out)
    job = _open(flags, out)
    found = _MEASURE[flags.measurement](job)
    command = summary.command_line("analyze", argv)
    _write(job, found, command)
    for line in _told(found):
        print(line)
    print(out / section.PAGE)
    return FAILED if found.unreadable else 0


def _parser() -> Parser:
    parser = Parser("analyze", "Measure whether detectors hold, use and show identities.")
    parser.add_argument("measurement", metavar="MEASUREMENT", help=", ".join(MEASUREMENTS))
    parser.add_argument(
        "--checkpoint", required=True, help="a workdir (its best step), a step folder, an export"
    )
    parser.add_argument("--against", help="other detectors[,...], measured beside it")
    parser.add_argument(
        "--data",
        help="name[/config][:split][,...]; by default the test split of the data the detector was "
        "trained on. leak is always measured on the data each detector was trained on",
    )
    parser.add_argument("--out", required=True, help="folder of results.json, PNGs, leakage.html")
    parser.add_argument(
        "--feature", help="probe, embedding, cam: a named feature (embedding; cam: map)"
    )
    parser.add_argument(
        "--no_controls", action="store_true", help="probe: no raw pixels, no random network"
    )
    parser.add_argument("--images", type=int, help="influence, cam: pictures of each data set")
    parser.add_argument("--contexts", type=int, help="influence: of each picture (16)")
    parser.add_argument("--baseline", help="influence: mean, blur, or mean,blur (both)")
    parser.add_argument("--people", type=int, help="embedding: people shown (16)")
    parser.add_argument("--bootstrap", type=int, default=1000, help="draws for intervals")
    parser.add_argument("--seed", type=int, default=0, help="of all that is drawn")
    parser.add_data_dir()
    parser.add_quiet()
    return parser


def _check(flags: argparse.Namespace) -> None:
    if flags.overrides:
        raise UsageError(
            f"--config.{next(iter(flags.overrides))}: a detector is analyzed with the "
            "configuration it was trained with; leave it out"
        )
    name = flags.measurement
    if name not in MEASUREMENTS:
        raise UsageError(f"unknown measurement {name!r}{nearest(name, MEASUREMENTS)}")
    for flag in {flag for known in MEASUREMENTS.values() for flag in known}:
        if getattr(flags, flag) and flag not in MEASUREMENTS[name]:
            where = " and ".join(m for m, known in MEASUREMENTS.items() if flag in known)
            raise UsageError(f"--{flag} goes with {where}, not with {name}")
    least = {"images": 4, "contexts": 4, "people": 2, "bootstrap": 0, "seed": 0}
    for flag, bound in least.items():
        value = getattr(flags, flag)
        if value is not None and value < bound:
            raise UsageError(f"--{flag}={value}: must be at least {bound}")
    if flags.contexts and flags.contexts % 2:
        raise UsageError(
            f"--contexts={flags.contexts}: contexts come in pairs; give an even number"
        )
    if name == "leak" and flags.data:
        raise UsageError(
            f"--data={flags.data}: leak is measured on the data each detector was trained on; "
            "leave it out"
        )
    if flags.data:
        parse_data(flags.data)


def _open(flags: argparse.Namespace, out: Path) -> Job:
    """Loads the detectors and opens the data sets."""
    from iid_jax import checkpoint
    from iid_jax.data import people
    from iid_jax.data.catalog import open_catalog
    from iid_jax.leakage.network import Network

    paths = [flags.checkpoint, *(path for path in (flags.against or "").split(",") if path)]
    loaded = [checkpoint.load_detector(path) for path in paths]
    networks = [Network(*both) for both in zip(_names(paths), loaded, strict=True)]
    if flags.measurement == "leak":
        return Job(networks, [], out, flags)
    wanted = parse_data(flags.data or people.data_name(loaded[0].config.data))
    targets = [(open_catalog(name, flags.data_dir), split) for name, split in wanted]
    return Job(networks, targets, out, flags)


def _names(paths: list[str]) -> list[str]:
    """What the detectors are called: their run's folder, or as they were given where that clashes.

    Raises:
      UsageError: one is given twice.
    """
    from iid_jax.evaluation import summary

    if len({Path(path).resolve() for path in paths}) < len(paths):
        raise UsageError(f"--against={','.join(paths[1:])}: a detector is given twice")
    names = [summary.run_folder(Path(path)).name for path in paths]
    return [n if names.count(n) == 1 else path for n, path in zip(names, paths, strict=True)]


def _options(job: Job, *names: str, **renamed: str) -> dict[str, Any]:
    """The flags that were given, or their default, as arguments of a measurement."""
    wanted = {name: name for name in names} | renamed
    defaults = {f: by_name.get(job.flags.measurement) for f, by_name in DEFAULTS.items()}
    values = {name: getattr(job.flags, flag) or defaults.get(flag) for name, flag in wanted.items()}
    given = {name: value for name, value in values.items() if value is not None}
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

    options = _options(job, "feature") | {"bootstrap": job.flags.bootstrap}
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

    return embedding.measure(job.networks, job.targets, **_options(job, "feature", "people"))


def _cam(job: Job) -> "Section":
    from iid_jax.leakage import pointing

    options = _options(job, "feature", count="images") | {"bootstrap": job.flags.bootstrap}
    return pointing.measure(job.networks, job.targets, **options)


_MEASURE: "dict[str, Callable[[Job], Section]]" = {
    "leak": _leak,
    "probe": _probe,
    "influence": _influence,
    "embedding": _embedding,
    "cam": _cam,
}


def _write(job: Job, found: "Section", command: str) -> None:
    """Writes the pictures, results.json and the page, each whole or not at all."""
    import json

    from iid_jax import plots
    from iid_jax.evaluation import summary
    from iid_jax.leakage import page, section

    for name, (figure, _) in found.figures.items():
        (job.out / f"{name}.png").write_bytes(plots.png(figure))
    stored = section.merged(section.read(job.out), [found], _about(job, command))
    text = json.dumps(stored, indent=1, ensure_ascii=False, allow_nan=False)
    summary.write_text(job.out / section.RESULTS, text + "\n")
    measured = stored["measurements"]
    files = {figure["file"] for part in measured.values() for figure in part["figures"]}
    there = {name: job.out / name for name in files if (job.out / Path(name).name).is_file()}
    pictures = {name: (job.out / path.name).read_bytes() for name, path in there.items()}
    summary.write_text(job.out / section.PAGE, page.render(measured, pictures, command))


def _about(job: Job, command: str) -> dict[str, Any]:
    """How a measurement was made."""
    from iid_jax.data import people
    from iid_jax.evaluation import summary

    detectors = {}
    for network in job.networks:
        loaded = network.loaded
        detectors[network.name] = {
            "backbone": loaded.config.model.backbone,
            "adm": loaded.config.model.adm,
            "trained_on": people.data_name(loaded.config.data),
            "step": loaded.step,
            "fingerprint": network.fingerprint(),
        }
    return {
        "command": command,
        "commit": summary.commit(),
        "seed": job.flags.seed,
        "versions": summary.versions(),
        "hardware": summary.hardware(),
        "data": {catalog.name: summary.describe_data(catalog) for catalog, _ in job.targets},
        "detectors": detectors,
    }


def _told(found: "Section") -> list[str]:
    from iid_jax.leakage import wording

    return [*wording.verdict(found.name, {"results": found.rows}), *found.notes]
