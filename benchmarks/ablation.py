"""Which fakes matter: the same small detector trained on each kind, over seeds.

  python benchmarks/ablation.py --workdir=runs/ablation --data_dir=data [--seeds 0 1 2]

Rows: fakes left untouched, swapped whole, swapped in part, the mix of them (and as the quickstart
has it, with more parts), self-blended images, mix and self-blends in equal shares, the mix with
alpha blending only (the mix itself blends half of its swaps by Poisson), and with windows only
where the two faces differ most or half as large; then the mix under other losses: the weight of the
ADM's (`config.loss.beta`, 0.3 here), how many of a genuine face's anchors it learns from (4 at
least; `genuine anchors`), and with anchors that lie in the fake's mask but match no box among the
negatives (`none ignored`). By default the data set's own fakes are swaps of ten donors' whole
faces, none of whom is seen genuine (--arguments, --trained).

Columns, of people that training never saw: video AUC, the mean over the manipulations of the
training (`seen`) and over the others (`unseen`), and leak AUC (`leak`, 0.5 is none).

Prepared data sets only. Trains what is missing with the main job, reads every run's summary.json
and prints the table as Markdown: mean and the range over seeds. Started again, it goes on where it
was.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from iid_jax import child


def _swaps(untouched: float, whole: float, partial: float) -> dict[str, str]:
    chances = {"untouched": untouched, "global_": whole, "partial": partial}
    return {f"data.swap.{name}": str(chance) for name, chance in chances.items()}


# What a row changes of the mix, which is that of the data's defaults and not the quickstart's own.
CHANGES: dict[str, dict[str, str]] = {
    "untouched only": _swaps(1.0, 0.0, 0.0),
    "global only": _swaps(0.0, 1.0, 0.0),
    "partial only": _swaps(0.0, 0.0, 1.0),
    "mix": {},
    "mix, more parts": _swaps(0.1, 0.3, 0.6),
    "mix, alpha only": {"data.swap.poisson": "0.0"},
    "mix, picky windows": {"data.swap.dssim_share": "0.7"},
    "SBI": {"data.forgery": "self_blend"},
    "mix + SBI": {"data.forgery": "swap,self_blend"},
    "mix, small windows": {"data.swap.scales": "((20.0,40.0),(40.0,60.0),(60.0,80.0))"},
    "mix, beta 0.1": {"loss.beta": "0.1"},
    "mix, beta 1": {"loss.beta": "1.0"},
    "mix, no genuine anchors": {"loss.min_negatives": "0"},
    "mix, 32 genuine anchors": {"loss.min_negatives": "32"},
    "mix, none ignored": {"loss.negatives": "all"},
}
ROWS = {name: {**_swaps(0.2, 0.4, 0.4), **changes} for name, changes in CHANGES.items()}
COLUMNS = ("seen", "unseen", "leak")


def main() -> int:
    """Trains, collects and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument("--data_dir", type=Path, required=True)
    parser.add_argument("--data", nargs="+", default=["practice_faces", "photo_swaps"])
    few = "gap=donor,people=80,donors=10"
    parser.add_argument("--arguments", default=few, help="more ones of configs/quickstart.py")
    swaps = ["affine_swap", "poisson_swap"]
    parser.add_argument("--trained", nargs="+", default=swaps, help="manipulations trained on")
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=1800)
    flags = parser.parse_args()
    table = {}
    for data in flags.data:
        for row in flags.rows:
            made = (_summary(flags, data, row, seed) for seed in flags.seeds)
            table[data, row] = [measure(summary, flags.trained) for summary in made]
    print(_markdown(table))
    return 0


def measure(summary: Mapping[str, Any], trained: Sequence[str]) -> dict[str, float | None]:
    """Returns the columns of a run's summary; None is what it has not, or could not define."""
    found = {(r["metric"], r["method"]): r["value"] for r in summary["results"]}
    videos = {m: v for (metric, m), v in found.items() if metric == "video_auc" and m != "all"}
    parts = [[v for m, v in videos.items() if (m in trained) == seen] for seen in (True, False)]
    means = (None if not part or None in part else statistics.mean(part) for part in parts)
    return dict(zip(COLUMNS, (*means, found.get(("leak_auc", "all"))), strict=True))


def _summary(flags: argparse.Namespace, data: str, row: str, seed: int) -> dict:
    words = [f"data={data}", flags.arguments, f"steps={flags.steps}"]
    # All that a run depends on is in its path, lest a run of another kind be read.
    kind = "+".join([*filter(None, ",".join(words[1:]).split(",")), *flags.trained])
    name = row.replace(" + ", "_and_").replace(",", "").replace(" ", "_")
    workdir = flags.workdir / data / kind / f"{name}-{seed}"
    if not (workdir / "summary.json").exists():
        overrides = ROWS[row] | {"data.methods": ",".join(flags.trained)}
        _train(",".join(filter(None, [*words, f"seed={seed}"])), overrides, workdir, flags.data_dir)
    return json.loads((workdir / "summary.json").read_text(encoding="utf-8"))


def _train(arguments: str, overrides: Mapping[str, str], workdir: Path, data_dir: Path) -> None:
    words = [f"--config=configs/quickstart.py:{arguments}"]
    words += [f"--config.{key}={value}" for key, value in overrides.items()]
    child.run_whole(*words, f"--workdir={workdir}", f"--data_dir={data_dir}")


def _markdown(table: Mapping[tuple[str, str], Sequence[Mapping[str, float | None]]]) -> str:
    head = " | ".join(COLUMNS)
    lines = [f"| data | fakes | seeds | {head} |", "|---" * (3 + len(COLUMNS)) + "|"]
    for (data, row), measured in table.items():
        values = " | ".join(_spread([values[column] for values in measured]) for column in COLUMNS)
        lines.append(f"| {data} | {row} | {len(measured)} | {values} |")
    return "\n".join(lines)


def _spread(values: list[float | None]) -> str:
    """Mean (least to most); what a run did not measure or could not define is said so."""
    known = [value for value in values if value is not None]
    if not known:
        return "not measured"
    missing = f", {len(values) - len(known)} undefined" if len(known) < len(values) else ""
    mean = statistics.mean(known)
    return f"{mean:.3f} ({min(known):.3f} to {max(known):.3f}{missing})"


if __name__ == "__main__":
    sys.exit(main())
