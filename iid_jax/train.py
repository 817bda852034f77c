"""`train`: trains a detector, evaluates it on held-out people and writes its report."""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from iid_jax import config_file
from iid_jax.config import Config
from iid_jax.errors import UsageError, UserError
from iid_jax.flags import Parser

CONFIG, FAILED = "config.json", 3


def main(argv: list[str]) -> int:
    """Runs the main job; returns 3 where a record could not be scored. See `--help`."""
    parser = Parser("train", "Train a detector, evaluate it and write its report.")
    parser.add_argument("--config", required=True, help="config file[:arguments]")
    parser.add_argument("--workdir", default="runs/default", help="where the run is kept")
    parser.add_argument("--seed", type=int, default=None, help="in place of the config's seed")
    parser.add_data_dir()
    parser.add_quiet()
    flags = parser.parse(argv)
    if flags.seed is not None:
        flags.overrides["seed"] = str(flags.seed)
    config = config_file.load(flags.config, flags.overrides)
    workdir = Path(flags.workdir)
    with claimed(workdir, config):
        from iid_jax.evaluation import command_lines

        command = command_lines.of("", argv)
        made = train_and_evaluate(config, workdir, flags.data_dir, command, flags.quiet)
    return _tell(made, workdir) if made else 0


def train_and_evaluate(
    config: Config, workdir: Path, data_dir: str | os.PathLike, command: str, quiet: bool = False
) -> dict[str, Any] | None:
    """Trains, or goes on, and evaluates the best step on the test split; returns the summary.

    A data set that needs nothing but code is made first. In a run of several processes the first
    one evaluates, and the others return None.
    """
    from iid_jax.training import loop, recogniser, sharding

    sharding.start(config.train.batch_size, config.train.compilation_cache)

    import jax

    from iid_jax.checkpoint import load_detector
    from iid_jax.data import builder, identities, people
    from iid_jax.data.catalog import open_catalog
    from iid_jax.evaluation import report
    from iid_jax.models import detector as detectors

    # Here, not after the minutes that making the data may take.
    detectors.build_detector(config.model)
    first, made = jax.process_index() == 0, None
    name = people.data_name(config.data)
    if first:
        builder.ensure(name, data_dir, quiet=quiet)
    sharding.meet("data prepared")
    catalog = builder.ensure(name, data_dir, quiet=True)
    if config.data.apart_from:
        others = (open_catalog(other, data_dir) for other in config.data.apart_from)
        catalog = identities.apart(catalog, others)
    with alone(workdir) if first else contextlib.nullcontext():
        stats = loop.train(config, workdir, catalog, quiet=quiet)
        if first and config.model.people is not None:
            given = config, catalog, workdir, command, stats
            made = recogniser.summarise(load_detector(workdir, people=True), *given)
        elif first:
            target = report.Target(catalog, "test")
            detector = load_detector(workdir)
            made = report.evaluate_run(detector, config, [target], workdir, command, stats, quiet)
        sharding.meet("evaluated")
    return made


@contextlib.contextmanager
def claimed(workdir: Path, config: Config) -> Iterator[None]:
    """Claims the workdir; a run refused before it began (a missing data set) leaves no trace.

    Otherwise the next command, put right, would find a run of another configuration there.
    """
    there = workdir.exists()
    before = _names(workdir)
    claim(workdir, config)
    try:
        yield
    except UserError:
        # An abandoned folder is less of a worry than the error under way.
        with contextlib.suppress(OSError):
            if _names(workdir) - before == {CONFIG}:
                (workdir / CONFIG).unlink()
                if not there:
                    workdir.rmdir()
        raise


@contextlib.contextmanager
def alone(workdir: Path) -> Iterator[None]:
    """Holds the workdir against another training there: the two would mix their checkpoints.

    Of the processes of one run the first holds it. Where the file system knows no locks, nobody
    does.

    Raises:
      UsageError: another one trains there.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    folder = os.open(workdir, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                f"--workdir={workdir}: another process trains there; wait for it, or choose "
                "another --workdir"
            ) from None
        except OSError:  # A file system without locks.
            pass
        yield
    finally:
        os.close(folder)


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("*")}


def claim(workdir: Path, config: Config) -> None:
    """Makes the workdir and notes the configuration there, or checks that it is the same one.

    Raises:
      UsageError: it holds a run of another configuration, or cannot be written.
    """
    path = workdir / CONFIG
    probe = workdir / f".{CONFIG}.{os.getpid()}"
    wanted = config.to_dict()
    try:
        if path.exists():
            _check_same(path, config.outcome())
        workdir.mkdir(parents=True, exist_ok=True)
        probe.write_text(json.dumps(wanted, indent=1) + "\n", encoding="utf-8")
        probe.replace(path)
    except OSError as error:
        raise UsageError(
            f"cannot write to --workdir={workdir}: {error.strerror}; choose another one"
        ) from error


def _check_same(path: Path, wanted: dict[str, Any]) -> None:
    try:
        stored = dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise UsageError(f"{path} is not a run's {CONFIG}; choose another --workdir") from error
    # A run that an earlier version began lacks the keys that came since; they have their defaults.
    with contextlib.suppress(UsageError):
        stored = config_file.from_dict(stored).outcome()
    difference = _first_difference(stored, wanted, "config")
    if difference:
        raise UsageError(
            f"--workdir={path.parent} holds a run of another configuration: {difference}; "
            "choose another --workdir"
        )


def _first_difference(stored: Any, wanted: Any, where: str) -> str:
    """Returns the first key that differs and its two values, "" where none does."""
    if isinstance(stored, dict) and isinstance(wanted, dict):
        for key in sorted(set(stored) | set(wanted)):
            found = _first_difference(stored.get(key), wanted.get(key), f"{where}.{key}")
            if found:
                return found
        return ""
    return "" if stored == wanted else f"{where} was {stored!r}, now {wanted!r}"


def _tell(made: dict[str, Any], workdir: Path) -> int:
    """Prints what was found, and returns the exit code."""
    from iid_jax.evaluation import report
    from iid_jax.training import recogniser

    if told := recogniser.told(made):
        print(told, f"{workdir}: start others from it with --config.model.init_from={workdir}")
        return 0
    print(*report.headlines(made), f"{workdir / report.REPORT}", sep="\n")
    missing = report.unscored(made)
    if missing:
        print(
            f"{missing} records have no score; their status in {workdir / report.SCORES} says why"
        )
    return FAILED if missing else 0
