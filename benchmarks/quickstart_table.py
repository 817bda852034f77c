"""The README's table: IID against the plain classifier, in-data-set, unseen fakes and with a gap.

  python benchmarks/quickstart_table.py --workdir=runs/table --data_dir=data

Trains what is missing with the main job (12 runs, or the chosen --rows), reads every run's
summary.json and prints the table as Markdown. Started again, it goes on where it was.
"""

import argparse
import json
import sys
from pathlib import Path

from iid_jax import child

UNSEEN = ("affine_swap", "resynthesis", "expression", "poisson_swap")
ROWS = {
    "in-data-set": "",
    **{f"unseen {name}": f",without={name}" for name in UNSEEN},
    "gap donor, 10 donors": ",gap=donor,people=80,donors=10",
}
METHODS = ("iid", "binary")


def main() -> int:
    """Trains, collects and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument("--data_dir", type=Path, required=True)
    parser.add_argument("--data", default="practice_faces")
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    flags = parser.parse_args()
    table = {}
    for seed in flags.seeds:
        for row in flags.rows:
            for method in METHODS:
                name = f"{flags.data}/{row.replace(' ', '_').replace(',', '')}-{method}-{seed}"
                workdir = flags.workdir / name
                arguments = f"method={method},seed={seed},data={flags.data}{ROWS[row]}"
                if not (workdir / "summary.json").exists():
                    _train(arguments, workdir, flags.data_dir)
                summary = json.loads((workdir / "summary.json").read_text(encoding="utf-8"))
                table[row, method, seed] = summary
    print(_markdown(table))
    return 0


def _train(arguments: str, workdir: Path, data_dir: Path) -> None:
    config = f"--config=configs/quickstart.py:{arguments}"
    child.run_whole(config, f"--workdir={workdir}", f"--data_dir={data_dir}")


def _markdown(table: dict[tuple[str, str, int], dict]) -> str:
    lines = ["| trained | method | seed | measured on | video AUC | leak AUC | training s |"]
    lines.append("|---|---|---|---|---|---|---|")
    for (row, method, seed), summary in table.items():
        unseen = row.removeprefix("unseen ")
        measured = unseen if unseen in UNSEEN else "all"
        auc = _value(summary, "video_auc", measured)
        leak = _value(summary, "leak_auc", "all")
        seconds = summary["train"]["seconds"]
        lines.append(f"| {row} | {method} | {seed} | {measured} | {auc} | {leak} | {seconds:.0f} |")
    return "\n".join(lines)


def _value(summary: dict, metric: str, method: str) -> str:
    for result in summary["results"]:
        if result["metric"] == metric and result["method"] == method:
            if result["value"] is None:
                return f"undefined: {result['reason']}"
            if result["lo"] is None:
                return f"{result['value']:.3f}"
            return f"{result['value']:.3f} ({result['lo']:.3f} to {result['hi']:.3f})"
    return "not measured"


if __name__ == "__main__":
    sys.exit(main())
