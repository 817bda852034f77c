"""`train`: trains a detector, evaluates it on held-out people and writes its report."""

import json
import os
from pathlib import Path

from iid_jax import config_file
from iid_jax.config import Config
from iid_jax.data import people
from iid_jax.errors import UsageError
from iid_jax.flags import Parser


def main(argv: list[str]) -> int:
    """Runs the main job; see `--help`."""
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
    claim(workdir, config)

    from iid_jax.data import builder

    catalog = builder.ensure(people.data_name(config.data), flags.data_dir, quiet=flags.quiet)

    from iid_jax.checkpoint import load_detector
    from iid_jax.evaluation import report, summary
    from iid_jax.training import loop, sharding

    sharding.use_cpu_cores(config.train.batch_size)
    sharding.cache_compilations()
    stats = loop.train(config, workdir, catalog, quiet=flags.quiet)
    command = summary.command_line("", argv)
    target = report.Target(catalog, "test")
    made = report.evaluate_run(
        load_detector(workdir), config, [target], workdir, command, stats, flags.quiet
    )
    for row in made["results"]:
        if row["metric"] in ("video_auc", "leak_auc") and row["value"] is not None:
            print(
                f"{row['data']} {row['split']} {row['method']}: {row['metric']} "
                f"{row['value']:.3f} ({row['lo']:.3f} to {row['hi']:.3f})"
            )
    print(f"report: {workdir / 'report.html'}")
    return 3 if report.unscored(made) else 0


def claim(workdir: Path, config: Config) -> None:
    """Makes the workdir and notes the configuration there, or checks that it is the same one.

    Raises:
      UsageError: it holds a run of another configuration, or cannot be written.
    """
    path = workdir / "config.json"
    wanted = config.to_dict()
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        if path.exists():
            _check_same(path, wanted)
            if not os.access(workdir, os.W_OK):
                raise PermissionError(13, "Permission denied")
            return
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps(wanted, indent=1) + "\n", encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise UsageError(
            f"cannot write to --workdir={workdir}: {error.strerror}; choose another folder"
        ) from error


def _check_same(path: Path, wanted: dict) -> None:
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(f"{path} is not JSON; choose another --workdir") from error
    difference = _first_difference(stored, wanted, "config")
    if difference:
        raise UsageError(
            f"--workdir={path.parent} holds a run of another configuration: {difference}; "
            "choose another --workdir"
        )


def _first_difference(stored: object, wanted: object, where: str) -> str:
    if isinstance(stored, dict) and isinstance(wanted, dict):
        for key in sorted(set(stored) | set(wanted)):
            found = _first_difference(stored.get(key), wanted.get(key), f"{where}.{key}")
            if found:
                return found
        return ""
    return "" if stored == wanted else f"{where} was {stored!r}, now {wanted!r}"
