"""`show`: draws what the trainer is fed, or what a detector says of held-out pictures."""

import argparse
import os
from pathlib import Path

from iid_jax import config_file
from iid_jax.errors import DataError, UsageError
from iid_jax.flags import Parser, parse_data

PICTURE, PAGE = ".png", ".md"


def main(argv: list[str]) -> int:
    """Writes a montage of training samples, or a first look at a detector. See `--help`."""
    flags = _parser().parse(argv)
    _check(flags)
    out = Path(flags.out)
    _check_folder(out)
    if flags.checkpoint:
        return _first_look(flags, argv, out)
    return _gallery(flags, out) if flags.gallery else _montage(flags, out)


def _parser() -> Parser:
    parser = Parser(
        "show",
        "With --config: draw genuine | manipulated | mask | result of training samples. "
        "With --checkpoint: draw held-out pictures with true and predicted boxes, and write a "
        "page of the same name, .md, that explains them.",
    )
    parser.add_argument("--config", help="config file[:arguments], to draw training samples")
    parser.add_argument("--checkpoint", help="a workdir (its best step), a step folder, an export")
    parser.add_argument(
        "--data",
        help="name[/config][:split], with --checkpoint; by default the test split of the data it "
        "was trained on",
    )
    parser.add_argument("--out", required=True, help="picture to write, .png")
    parser.add_argument("--count", type=int, default=24, help="pictures or samples to draw")
    parser.add_argument("--seed", type=int, default=None, help="in place of the config's seed")
    parser.add_argument(
        "--gallery",
        action="store_true",
        help="with --config: every generator of fakes and every augmentation, before and after",
    )
    parser.add_data_dir()
    parser.add_quiet()
    return parser


def _check(flags: argparse.Namespace) -> None:
    if bool(flags.config) == bool(flags.checkpoint):
        raise UsageError("show needs either --config or --checkpoint; see show --help")
    if flags.gallery and not flags.config:
        raise UsageError("--gallery goes with --config; see show --help")
    if flags.count < 1:
        raise UsageError(f"--count={flags.count}: must be at least 1")
    if flags.seed is not None and flags.seed < 0:
        raise UsageError(f"--seed={flags.seed}: must be at least 0")
    if Path(flags.out).suffix.lower() != PICTURE:
        raise UsageError(f"--out={flags.out}: must be a picture, its name ending in {PICTURE}")
    if flags.config:
        if flags.data:
            raise UsageError(
                "--data goes with --checkpoint; with --config it is --config.data.name=NAME"
            )
        return
    if flags.overrides:
        raise UsageError(
            f"--config.{next(iter(flags.overrides))}: a detector is shown with the configuration "
            "it was trained with; leave it out"
        )
    if flags.count % 2:
        raise UsageError(
            f"--count={flags.count}: pictures come in pairs of a fake and its genuine partner; "
            "give an even number"
        )
    if flags.data and len(parse_data(flags.data)) > 1:
        raise UsageError(f"--data={flags.data}: a picture shows one data set")


def _check_folder(out: Path) -> None:
    """Finds out whether the picture can be written before minutes are spent on it."""
    probe = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise DataError(f"cannot write {out}: {error.strerror}; choose another --out") from error


def _montage(flags: argparse.Namespace, out: Path) -> int:
    config = config_file.load(flags.config, flags.overrides)

    from iid_jax import plots
    from iid_jax.data import builder, people, sampler, samples
    from iid_jax.models import detector

    name = people.data_name(config.data)
    catalog = builder.ensure(name, flags.data_dir, quiet=flags.quiet)
    _, spec, _ = detector.build_detector(config.model)
    seed = config.seed if flags.seed is None else flags.seed
    draws = sampler.Sampler(catalog, config.data, 2, flags.count, seed)
    maker = samples.SampleMaker(catalog, config.data, spec, detector.feature_side(config.model))
    chosen = [maker.sample(draws[2 * i]) for i in range(flags.count)]
    out.write_bytes(plots.png(plots.montage(chosen, maker, config.loss), dpi=100))
    print(f"{flags.out}: {flags.count} training samples of {name}")
    return 0


def _gallery(flags: argparse.Namespace, out: Path) -> int:
    config = config_file.load(flags.config, flags.overrides)

    from iid_jax import plots
    from iid_jax.data import builder, gallery, people
    from iid_jax.models import detector
    from iid_jax.plots.gallery import Entry
    from iid_jax.plots.gallery import gallery as draw

    name = people.data_name(config.data)
    catalog = builder.ensure(name, flags.data_dir, quiet=flags.quiet)
    _, spec, _ = detector.build_detector(config.model)
    seed = config.seed if flags.seed is None else flags.seed
    shown = gallery.entries(catalog, spec, detector.feature_side(config.model), seed)
    drawn = [Entry(*entry) for entry in shown]
    out.write_bytes(plots.png(draw(drawn), dpi=100))
    print(f"{out}: {len(drawn)} ways to make and change a picture, on {name}")
    return 0


def _first_look(flags: argparse.Namespace, argv: list[str], out: Path) -> int:
    from iid_jax import checkpoint, plots
    from iid_jax.data import people
    from iid_jax.data.catalog import open_catalog
    from iid_jax.evaluation import command_lines, first_look, summary

    page = out.with_suffix(PAGE)
    _check_page(page, first_look.MADE)
    detector = checkpoint.load_detector(flags.checkpoint)
    trained_on = people.data_name(detector.config.data)
    ((name, split),) = parse_data(flags.data or trained_on)
    catalog = open_catalog(name, flags.data_dir)
    try:
        home = catalog if name == trained_on else open_catalog(trained_on, flags.data_dir)
    except DataError:
        home = None  # the box threshold then comes from the shown data's own validation split
    seed = detector.config.seed if flags.seed is None else flags.seed
    seen = first_look.look(detector, catalog, split, home, flags.count, seed, flags.quiet)
    workdir = summary.run_folder(Path(flags.checkpoint))
    training = summary.training_of(workdir, detector.config) or {}
    commands = command_lines.of("show", argv), training.get("command")
    text = first_look.text(seen, detector, catalog, seed, out.name, *commands)
    out.write_bytes(plots.png(first_look.sheet(seen, detector)))
    summary.write_text(page, text)
    print(f"{out}, {page}: {len(seen.pictures)} pictures of {name}, {split} split")
    return 0


def _check_page(page: Path, made: str) -> None:
    """A page that somebody wrote is not overwritten."""
    try:
        mine = not page.exists() or page.read_text(encoding="utf-8").startswith(made)
    except (OSError, UnicodeDecodeError):
        mine = False
    if not mine:
        raise DataError(f"{page} was not made by show and is not overwritten; choose another --out")
