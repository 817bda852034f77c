"""`prepare`: makes a data set, by drawing it or from a folder as downloaded, or checks it."""

import argparse

from iid_jax.errors import UsageError
from iid_jax.flags import Parser

FAILED, DAMAGED = 3, 4


def main(argv: list[str]) -> int:
    """Prepares or checks one data set; returns 3 where an input could not be used, or differs."""
    flags = _parser().parse(argv)
    _check(flags)
    if flags.check:
        return _look(flags)

    from iid_jax.data import builder

    settings = builder.Settings(
        source=flags.source,
        limit=flags.limit,
        seed=flags.seed,
        frames=flags.frames,
        landmarker=flags.landmarker,
        max_bad=flags.max_bad,
    )
    before = builder.is_prepared(flags.dataset, flags.data_dir)
    catalog = builder.prepare(
        flags.dataset, flags.data_dir, settings, flags.jobs, flags.quiet, flags.beam
    )
    if before:
        print(f"{catalog.name} is already prepared, nothing was changed: {catalog.directory}")
        return 0
    return _tell(catalog)


def _parser() -> Parser:
    parser = Parser("prepare", "Make a data set, by drawing it or from a folder as downloaded.")
    parser.add_argument("--dataset", required=True, help="name[/config], as in photo_swaps")
    parser.add_argument("--source", help="the folder as downloaded; see datasets/<name>/README.md")
    parser.add_data_dir()
    parser.add_argument("--jobs", type=int, help="processes; by default as many as there are cores")
    parser.add_argument("--limit", type=int, help="so many people or videos only")
    parser.add_argument("--frames", type=int, help="so many of each video (default 32)")
    parser.add_argument(
        "--landmarker",
        help="what finds faces in videos: dlib (default), dlib:1 for faces half as large, a "
        "FILE.task of MediaPipe, or MODULE:CALLABLE",
    )
    parser.add_argument(
        "--max_bad", type=float, default=2.0, help="percent of videos that may be unusable"
    )
    parser.add_argument(
        "--beam",
        default="",
        metavar="RUNNER",
        help="do the work with Apache Beam: a runner, and its options, as in DirectRunner or "
        "'FlinkRunner --flink_master=HOST:PORT'",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="instead: compare a prepared data set with what was published, and check every record",
    )
    parser.add_argument("--seed", type=int, default=0, help="of everything drawn at random")
    parser.add_quiet()
    return parser


def _check(flags: argparse.Namespace) -> None:
    if flags.overrides:
        raise UsageError(
            f"--config.{next(iter(flags.overrides))}: a data set is prepared without a "
            "configuration file; leave it out"
        )
    for name in ("jobs", "limit", "frames"):
        value = getattr(flags, name)
        if value is not None and value < 1:
            raise UsageError(f"--{name}={value}: must be at least 1")
    making = (flags.source, flags.limit, flags.frames, flags.landmarker, flags.beam)
    if flags.check and any(making):
        raise UsageError(
            "--check looks at a data set that is prepared; leave out --source, --limit, --frames, "
            "--landmarker and --beam"
        )
    if flags.seed < 0:
        raise UsageError(f"--seed={flags.seed}: must be at least 0")
    if not 0 <= flags.max_bad <= 100:
        raise UsageError(f"--max_bad={flags.max_bad}: must be 0 to 100, in percent")


def _look(flags: argparse.Namespace) -> int:
    """Prints what the check finds; 4 where a record is damaged, 3 where something differs."""
    from iid_jax.data import check
    from iid_jax.data.catalog import open_catalog

    findings = check.check(open_catalog(flags.dataset, flags.data_dir), flags.quiet)
    print(*check.table(findings), sep="\n")
    verdicts = {finding.verdict for finding in findings}
    if check.DAMAGED in verdicts:
        return DAMAGED
    return FAILED if check.DIFFERS in verdicts else 0


def _tell(catalog) -> int:
    """Prints what was made and what was left out, and returns the exit code."""
    from iid_jax.data import prepared

    for line in table(catalog):
        print(line)
    problems = prepared.count_statuses(prepared.read_report(catalog.directory))
    for status, count in problems.items():
        print(f"left out: {count} {status}")
    for flag, count in catalog.manifest.get("quality", {}).items():
        print(f"kept, but {flag}: {count}")
    print(f"{catalog.directory / prepared.REPORT}")
    return FAILED if set(problems) - set(prepared.NOTES) else 0


def table(catalog) -> list[str]:
    """Returns the lines of a table: split, label and method with records, videos and people."""
    from iid_jax.data import schema

    columns = catalog.columns
    wide = max(14, 2 + max(map(len, columns["method"].tolist()), default=0))
    lines = [f"{'split':8}{'label':6}{'method':{wide}}{'records':>8}{'videos':>8}{'people':>8}"]
    for split in schema.SPLITS:
        rows = catalog.select(split)
        for method in sorted(set(columns["method"][rows]), key=lambda m: (m != "original", m)):
            chosen = rows[columns["method"][rows] == method]
            label = "fake" if columns["label"][chosen[0]] == schema.FAKE else "real"
            counts = [len(chosen)] + [
                len(set(columns[c][chosen]) - {""}) for c in ("video_id", "identity")
            ]
            numbers = "".join(f"{n:8d}" for n in counts)
            lines.append(f"{split:8}{label:6}{method:{wide}}{numbers}")
    return lines
