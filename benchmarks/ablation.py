"""Which fakes matter: the same small detector trained on each kind, over seeds.

  python benchmarks/ablation.py --workdir=runs/ablation --data_dir=data [--seeds 0 1 2]

Rows: fakes left untouched, swapped whole, swapped in part, the mix of them, self-blended images,
mix and self-blends in equal shares, and the mix with alpha blending only (the mix itself blends
half of its swaps by Poisson). Trains what is missing with the main job, reads every run's
summary.json and prints the table as Markdown: mean and the range over seeds. Started again, it
goes on where it was.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path

from iid_jax import child


def _swaps(untouched: float, whole: float, partial: float) -> dict[str, str]:
    chances = {"untouched": untouched, "global_": whole, "partial": partial}
    return {f"data.swap.{name}": str(chance) for name, chance in chances.items()}


ROWS: dict[str, dict[str, str]] = {
    "untouched only": _swaps(1.0, 0.0, 0.0),
    "global only": _swaps(0.0, 1.0, 0.0),
    "partial only": _swaps(0.0, 0.0, 1.0),
    "mix": {},
    "mix, alpha only": {"data.swap.poisson": "0.0"},
    "SBI": {"data.forgery": "self_blend"},
    "mix + SBI": {"data.forgery": "swap,self_blend"},
}
METRICS = ("video_auc", "frame_auc", "leak_auc")


def main() -> int:
    """Trains, collects and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument("--data_dir", type=Path, required=True)
    parser.add_argument("--data", nargs="*", default=["practice_faces", "photo_swaps"])
    parser.add_argument("--rows", nargs="*", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=1800)
    flags = parser.parse_args()
    table = {}
    for data in flags.data:
        for row in flags.rows:
            table[data, row] = [_summary(flags, data, row, seed) for seed in flags.seeds]
    print(_markdown(table))
    return 0


def _summary(flags: argparse.Namespace, data: str, row: str, seed: int) -> dict:
    name = row.replace(" + ", "_and_").replace(",", "").replace(" ", "_")
    workdir = flags.workdir / data / f"{name}-{flags.steps}-{seed}"
    if not (workdir / "summary.json").exists():
        _train(f"data={data},seed={seed},steps={flags.steps}", row, workdir, flags.data_dir)
    return json.loads((workdir / "summary.json").read_text(encoding="utf-8"))


def _train(arguments: str, row: str, workdir: Path, data_dir: Path) -> None:
    words = [f"--config=configs/quickstart.py:{arguments}"]
    words += [f"--config.{key}={value}" for key, value in ROWS[row].items()]
    code = child.run(*words, f"--workdir={workdir}", f"--data_dir={data_dir}")
    if code:
        sys.exit(code)


def _markdown(table: dict[tuple[str, str], list[dict]]) -> str:
    head = " | ".join(name.replace("_", " ").replace("auc", "AUC") for name in METRICS)
    lines = [f"| data | fakes | seeds | {head} |", "|---" * (3 + len(METRICS)) + "|"]
    for (data, row), summaries in table.items():
        values = " | ".join(_spread([_value(s, metric) for s in summaries]) for metric in METRICS)
        lines.append(f"| {data} | {row} | {len(summaries)} | {values} |")
    return "\n".join(lines)


def _value(summary: dict, metric: str) -> float | None:
    for result in summary["results"]:
        if result["metric"] == metric and result["method"] == "all":
            return result["value"]
    return None


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
