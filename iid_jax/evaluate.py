"""`evaluate`: scores a detector on prepared data sets, or measures a scores file again."""

import argparse
from pathlib import Path

from iid_jax.errors import UsageError
from iid_jax.flags import Parser, parse_data

FAILED = 3


def main(argv: list[str]) -> int:
    """Writes scores, summary.json and report.html; returns 3 where a record has no score."""
    flags = _parser().parse(argv)
    _check(flags)

    from iid_jax.evaluation import command_lines, report, stored

    command = command_lines.of("evaluate", argv)
    if flags.from_scores:
        out = Path(flags.out)
        files, others = (_paths(flags, name) for name in ("from_scores", "against"))
        drawn = flags.seed or 0, flags.bootstrap
        made = stored.evaluate_scores(files, out, command, *drawn, against=others)
    else:
        made, out = _run(flags, command)
    print(*report.headlines(made), *stored.side_by_side(made), sep="\n")
    print(f"{out / report.REPORT}")
    missing = report.unscored(made)
    if missing:
        where = flags.from_scores or out / report.SCORES
        print(f"{missing} records have no score; their status in {where} says why")
    return FAILED if missing or stored.left_out(made) else 0


def _parser() -> Parser:
    parser = Parser("evaluate", "Score a detector on every record of prepared data sets.")
    parser.add_argument(
        "--checkpoint", help="a workdir (its best step), a step folder or an export"
    )
    parser.add_argument(
        "--data",
        help="name[/config][:split][,...]; split test, and the data it was trained on, by default",
    )
    parser.add_data_dir()
    parser.add_argument(
        "--out", help="folder for the results; by default evaluations/<data>.<split> in the workdir"
    )
    parser.add_argument("--from_scores", help="scores file[,...] to measure again; needs --out")
    parser.add_argument(
        "--against", help="scores file[,...] of another run, set beside --from_scores"
    )
    parser.add_argument(
        "--corrupt",
        help="score corrupted pictures too: all, or kind[:level][,...] of saturation, contrast, "
        "block, noise, blur, pixelation and codec (videos), levels 1 to 5",
    )
    parser.add_allow_other_landmarker()
    parser.add_argument("--seed", type=int, help="of the bootstrap, with --from_scores (default 0)")
    parser.add_argument(
        "--bootstrap", type=int, help="draws of it, with --from_scores (default 1000; 0: none)"
    )
    parser.add_quiet()
    return parser


def _check(flags: argparse.Namespace) -> None:
    if flags.overrides:
        raise UsageError(
            f"--config.{next(iter(flags.overrides))}: a detector is evaluated with the "
            "configuration it was trained with; leave it out"
        )
    if bool(flags.checkpoint) == bool(flags.from_scores):
        raise UsageError("evaluate needs either --checkpoint or --from_scores; see evaluate --help")
    if flags.from_scores and not flags.out:
        raise UsageError("--from_scores needs --out, a folder for summary.json and report.html")
    if flags.from_scores and flags.data:
        raise UsageError("--data goes with --checkpoint; a scores file names its data itself")
    if flags.against and not flags.from_scores:
        raise UsageError("--against goes with --from_scores: it compares scores files")
    if flags.corrupt and not flags.checkpoint:
        raise UsageError("--corrupt goes with --checkpoint: a scores file has no pictures")
    for name in ("seed", "bootstrap"):
        value = getattr(flags, name)
        if flags.checkpoint and value is not None:
            raise UsageError(f"--{name} goes with --from_scores; a checkpoint brings its own")
        if value is not None and not 0 <= value < 2**31:
            raise UsageError(f"--{name} must be 0 to {2**31 - 1}, got {value}")
    for name in ("from_scores", "against"):
        _paths(flags, name)
    if flags.data:
        parse_data(flags.data)


def _paths(flags: argparse.Namespace, name: str) -> list[Path]:
    value = getattr(flags, name)
    paths = [Path(part) for part in (value or "").split(",") if part]
    if value is not None and not paths:
        raise UsageError(f"--{name}={value} names no file; give the path of a scores file")
    return paths


def _run(flags: argparse.Namespace, command: str):
    """Loads the detector and the data sets and evaluates; (summary, where it lies)."""
    from iid_jax.data import corrupt

    corruptions = corrupt.parse(flags.corrupt) if flags.corrupt else []

    from iid_jax import checkpoint
    from iid_jax.data import mixing, people
    from iid_jax.data.catalog import open_catalog
    from iid_jax.errors import DataError
    from iid_jax.evaluation import report, summary

    detector = checkpoint.load_detector(flags.checkpoint)
    config = detector.config
    trained_on = people.data_name(config.data)
    targets = parse_data(flags.data or trained_on)
    catalogs = {name: open_catalog(name, flags.data_dir) for name, _ in targets}
    met = flags.data_dir, flags.allow_other_landmarker
    for note in mixing.notes([detector], catalogs.values(), *met):
        print(note)
    try:
        home = catalogs.get(trained_on) or open_catalog(trained_on, flags.data_dir)
    except DataError:
        home = None  # the box threshold then comes from each target's own validation split
    workdir = summary.run_folder(Path(flags.checkpoint))
    stats = summary.training_of(workdir, config)
    names = "+".join(f"{name.replace('/', '.')}.{split}" for name, split in targets)
    out = Path(flags.out) if flags.out else workdir / "evaluations" / names
    made = report.evaluate_run(
        detector,
        config,
        [report.Target(catalogs[name], split) for name, split in targets],
        out,
        command,
        stats,
        flags.quiet,
        home=home,
        log=workdir / report.LOG,
        corruptions=corruptions,
    )
    return made, out
