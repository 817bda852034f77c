"""`reproduce`: a table of the paper, or of the claim itself, from one command; resumable."""

import argparse
import dataclasses
import fnmatch
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from iid_jax import child
from iid_jax.errors import UsageError
from iid_jax.flags import Parser

if TYPE_CHECKING:
    from iid_jax.evaluation.declared import Table

FAILED, BAD_DATA, INTERRUPTED = 3, 4, 143
_MADE = "practice, probe, influence, tsne and subsets"
# What a child ends with that was asked to stop: its own exit code, or the signal itself.
_STOPPED = {code for s in (signal.SIGINT, signal.SIGTERM) for code in (128 + s, -s)}


def main(argv: list[str]) -> int:
    """Trains and evaluates what is missing and prints the table.

    Returns 3 where steps failed or could not be run, 4 where none of them could.
    """
    flags = _parser().parse(argv)
    if flags.overrides:
        name = next(iter(flags.overrides))
        raise UsageError(f"--config.{name}: a protocol's configuration is fixed; leave it out")

    from iid_jax.evaluation import chain, outcome, protocols

    asked = {name: getattr(flags, name) for name in ("form", "data") if getattr(flags, name)}
    table = protocols.table(flags.table, **asked)
    if asked and not protocols.on_made(flags.table):
        name, value = next(iter(asked.items()))
        raise UsageError(f"--{name}={value} goes with {_MADE}; leave it out of {flags.table}")
    if flags.weights:
        table = protocols.from_weights(table, flags.weights)
    workdir = Path(flags.workdir)
    steps = chain.plan(_chosen(table, flags.rows), workdir, flags.data_dir)
    if flags.dry_run:
        print(*chain.describe(table, steps), sep="\n")
        print(*outcome.markdown(table, workdir), sep="\n")
        return 0
    _make(workdir)
    failed = _run(steps, flags)
    if failed is None:
        return INTERRUPTED
    told, stored = chain.missing(steps), outcome.files(table, workdir)[0]
    if told:
        print(*told, sep="\n")
    print(*outcome.write(table, workdir), stored, sep="\n")
    return (FAILED if any(step.done() for step in steps) else BAD_DATA) if failed else 0


def _parser() -> Parser:
    from iid_jax.evaluation import protocols

    names = ", ".join(protocols.names())
    parser = Parser("reproduce", "Make a table: train what is missing, evaluate, print.")
    parser.add_argument("--table", required=True, help=f"one of {names}")
    parser.add_argument("--workdir", default="runs/reproduce", help="where its runs are kept")
    parser.add_argument("--form", help=f"full (default), short or quick, of {_MADE}")
    parser.add_argument(
        "--data",
        help=f"practice_faces (default) or photo_swaps, of {_MADE}; of all but practice "
        "faceforensics/c23 too",
    )
    parser.add_argument(
        "--weights",
        help="start the paper's detectors from DIR/<backbone>.safetensors or .pth, as it does",
    )
    parser.add_argument(
        "--rows", help="train and evaluate these alone, by name: '*donors=10, paired: *'"
    )
    parser.add_argument("--dry_run", action="store_true", help="tell the steps and run none")
    parser.add_data_dir()
    parser.add_quiet()
    return parser


def _chosen(table: "Table", pattern: str | None) -> "Table":
    """Returns the table with the rows that are to be run.

    Raises:
      UsageError: the pattern meets none of them, or the table measures its rows together.
    """
    if pattern is None:
        return table
    if table.analysis is not None:
        raise UsageError(f"--rows={pattern}: {table.name} measures its rows together; leave it out")
    rows = tuple(row for row in table.rows if fnmatch.fnmatchcase(row.label, pattern))
    if not rows:
        raise UsageError(f"--rows={pattern!r} names no row of {table.name}; --dry_run shows them")
    return dataclasses.replace(table, rows=rows)


def _make(workdir: Path) -> None:
    try:
        workdir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"cannot write to --workdir={workdir}: {error.strerror}; choose another one"
        ) from error


def _run(steps, flags: argparse.Namespace) -> int | None:
    """Runs the steps that are not done; how many failed or are blocked, None if stopped."""
    failed = 0
    for number, step in enumerate(steps, 1):
        if step.done():
            continue
        blocked = step.blocked or any(not before.done() for before in step.after)
        if blocked:
            failed += 1
            continue
        quiet = ["--quiet"] if flags.quiet else []
        print(f"[{number}/{len(steps)}] {step.told}", flush=True)
        code = child.run(*step.arguments, *quiet)
        if code in _STOPPED:
            print("stopped; the same command goes on from here", file=sys.stderr)
            return None
        if code not in (0, child.UNSCORED) or not step.done():
            print(f"step {number} ended with {code}; going on with the others", file=sys.stderr)
            failed += 1
    return failed
