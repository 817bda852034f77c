"""How fast the host makes training samples: images per core-second, on one thread.

  python benchmarks/host.py --data_dir=data [--data=practice_faces] [--json=FILE]

CPU time of this process, medians over rounds: finished fakes, finished genuine samples, and the
floor (reading, decoding and aligning alone).
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2

from iid_jax.config import DataConfig
from iid_jax.data import canvas, catalog, sampler, samples
from iid_jax.models import InputSpec

ROUNDS, PER_ROUND = 7, 60


def main() -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_dir", required=True)
    parser.add_argument("--data", default="practice_faces")
    parser.add_argument("--canvas", type=int, default=112)
    parser.add_argument("--json", type=Path, default=None)
    flags = parser.parse_args()
    cv2.setNumThreads(1)
    opened = catalog.open_catalog(flags.data, flags.data_dir)
    config, spec = DataConfig(), InputSpec(flags.canvas)
    draws = sampler.Sampler(opened, config, 64, 1000, seed=0)
    maker = samples.SampleMaker(opened, config, spec, feature=7)
    stages: dict[str, Callable[[int], object]] = {
        "fake": lambda i: maker(draws[2 * i]),
        "genuine": lambda i: maker(draws[2 * i + 1]),
        "floor": lambda i: canvas.align(opened.read(draws[2 * i + 1].row), spec),
    }
    measured = {name: {"images_per_core_second": _rate(make)} for name, make in stages.items()}
    for name, row in measured.items():
        print(f"{name:8} {row['images_per_core_second']:7.1f} images per core-second")
    if flags.json:
        flags.json.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
    return 0


def _rate(make: Callable[[int], object]) -> float:
    make(0)
    spent = []
    for start in range(ROUNDS):
        before = time.process_time()
        for i in range(PER_ROUND):
            make(start * PER_ROUND + i)
        spent.append(time.process_time() - before)
    return PER_ROUND / statistics.median(spent)


if __name__ == "__main__":
    sys.exit(main())
