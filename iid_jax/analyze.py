"""`analyze`: does a detector leak identities? One measurement at a time, on one growing page."""

import argparse
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iid_jax.errors import UsageError, nearest
from iid_jax.flags import Parser, parse_data
from iid_jax.leakage.measurements import DIVISIONS, FLAGS, Job, run

if TYPE_CHECKING:
    from iid_jax.config import Config
    from iid_jax.leakage.network import Network
    from iid_jax.leakage.section import Section
    from iid_jax.leakage.subsets import Part

FAILED = 3


def main(argv: list[str]) -> int:
    """Measures, writes results.json, pictures and leakage.html; 3 where pictures were unusable."""
    flags = _parser().parse(argv)
    _check(flags)

    from iid_jax.evaluation import command_lines, summary
    from iid_jax.leakage import section

    out = Path(flags.out)
    summary.check_out(out, None)
    section.read(out)
    job = _open(flags, out)
    found = run(job)
    command = command_lines.of("analyze", argv)
    _write(job, found, command)
    for line in _told(found):
        print(line)
    print(out / section.PAGE)
    return FAILED if found.unreadable else 0


def _parser() -> Parser:
    parser = Parser("analyze", "Measure whether detectors hold, use and show identities.")
    parser.add_argument("measurement", metavar="MEASUREMENT", help=", ".join(FLAGS))
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
    parser.add_argument("--config", help="subsets: config file[:arguments] to train with")
    parser.add_argument("--subsets", type=int, help="subsets: how many by features (4)")
    parser.add_argument(
        "--by", help="subsets: features (k-means on the detector's, the default) or method"
    )
    parser.add_argument("--bootstrap", type=int, default=1000, help="draws for intervals")
    parser.add_argument("--seed", type=int, default=0, help="of all that is drawn")
    parser.add_allow_other_landmarker()
    parser.add_data_dir()
    parser.add_quiet()
    return parser


def _check(flags: argparse.Namespace) -> None:
    name = flags.measurement
    if name not in FLAGS:
        raise UsageError(f"unknown measurement {name!r}{nearest(name, FLAGS)}")
    if flags.overrides and name != "subsets":
        raise UsageError(
            f"--config.{next(iter(flags.overrides))}: a detector is analyzed with the "
            "configuration it was trained with; leave it out"
        )
    for flag in sorted({flag for known in FLAGS.values() for flag in known}):
        if getattr(flags, flag) and flag not in FLAGS[name]:
            where = " and ".join(m for m, known in FLAGS.items() if flag in known)
            raise UsageError(f"--{flag} goes with {where}, not with {name}")
    least = {"images": 4, "contexts": 4, "people": 2, "subsets": 2, "bootstrap": 0, "seed": 0}
    for flag, bound in least.items():
        value = getattr(flags, flag)
        if value is not None and value < bound:
            raise UsageError(f"--{flag}={value}: must be at least {bound}")
    if flags.contexts and flags.contexts % 2:
        raise UsageError(
            f"--contexts={flags.contexts}: contexts come in pairs; give an even number"
        )
    if flags.by and flags.by not in DIVISIONS:
        raise UsageError(f"--by: unknown {flags.by!r}{nearest(flags.by, DIVISIONS)}")
    if flags.by == "method" and flags.subsets:
        raise UsageError(
            f"--subsets={flags.subsets}: --by=method makes one subset of each manipulation; "
            "leave it out, or give --by=features"
        )
    if name == "leak" and flags.data:
        raise UsageError(
            f"--data={flags.data}: leak is measured on the data each detector was trained on; "
            "leave it out"
        )
    if name == "subsets" and (flags.against or not flags.config):
        raise UsageError("subsets needs --config, to train with, and one detector: no --against")
    if flags.data:
        parse_data(flags.data)


def _open(flags: argparse.Namespace, out: Path) -> Job:
    """Loads the detectors and opens the data sets."""
    from iid_jax import checkpoint
    from iid_jax.data import mixing, people
    from iid_jax.data.catalog import open_catalog
    from iid_jax.leakage.network import Network

    paths = [flags.checkpoint, *(path for path in (flags.against or "").split(",") if path)]
    loaded = [checkpoint.load_detector(path) for path in paths]
    networks = [Network(*both) for both in zip(_names(paths), loaded, strict=True)]
    if flags.measurement == "leak":
        return Job(networks, [], out, flags, _train)
    wanted = parse_data(flags.data or people.data_name(loaded[0].config.data))
    targets = [(open_catalog(name, flags.data_dir), split) for name, split in wanted]
    met = [catalog for catalog, _ in targets], flags.data_dir, flags.allow_other_landmarker
    for note in mixing.notes(loaded, *met):
        print(note)
    return Job(networks, targets, out, flags, _train)


def _names(paths: list[str]) -> list[str]:
    """What the detectors are called, after their runs' folders.

    Raises:
      UsageError: one is given twice.
    """
    from iid_jax.evaluation import summary

    if len({Path(path).resolve() for path in paths}) < len(paths):
        raise UsageError(f"--against={','.join(paths[1:])}: a detector is given twice")
    folders = [summary.run_folder(Path(path)) for path in paths]
    # Two steps of one run are told apart by how they were given.
    return summary.run_names(folders) if len({*folders}) == len(folders) else paths


def _train(config: "Config", folder: Path, quiet: bool, part: "Part", count: int) -> "Network":
    """Trains on a part of the fakes, or goes on; its folder is named after what it is fed."""
    from iid_jax import checkpoint
    from iid_jax.leakage.network import Network
    from iid_jax.training import loop

    fed = [part.record_id(row) for row in part.select("train")]
    about = json.dumps([config.to_dict(), part.fingerprint, fed])
    name = f"subsets-{count}-{hashlib.sha256(about.encode()).hexdigest()[:12]}"
    workdir = folder / "work" / name
    workdir.mkdir(parents=True, exist_ok=True)
    loop.train(config, workdir, part, quiet=quiet)
    return Network(f"{count} subsets", checkpoint.load_detector(workdir))


def _write(job: Job, found: "Section", command: str) -> None:
    """Writes the pictures, results.json and the page, each whole or not at all."""
    from iid_jax import plots
    from iid_jax.evaluation import summary
    from iid_jax.leakage import page, section

    for name, (figure, _) in found.figures.items():
        summary.write_bytes(job.out / f"{name}.png", plots.png(figure))
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
