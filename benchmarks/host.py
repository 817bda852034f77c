"""How fast the host makes training samples: images per core-second, by stage, on one thread.

  python benchmarks/host.py --data_dir=data [--data=practice_faces] [--canvas=224] [--json=FILE]

CPU time of this process, so that other work on the machine counts little; the median of the rounds,
and the slowest and the fastest one.
`fake`, `genuine` and `sbi` (a self-blend together with its genuine picture, a pair counted once)
are finished samples from stored records; `floor` is reading, decoding and aligning a fake and its
pristine frame alone; `cv2` is `fake` with OpenCV's seamlessClone in place of the package's own
Poisson blending. `stages` are milliseconds of CPU time in each sample. `--augment` sets the
probability of every augmentation that is off by default. `--grain` adds the rate at which Grain
hands out whole batches, and weighs one of its worker processes.
"""

import argparse
import contextlib
import dataclasses
import json
import multiprocessing
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import cv2
import numpy as np

from iid_jax import coverage, geometry, memory
from iid_jax.config import AugmentConfig, DataConfig
from iid_jax.data import augment, canvas, catalog, pipeline, sampler, samples, schema
from iid_jax.forgery import blend, generator, masks
from iid_jax.models import InputSpec

# What a stage is made of; those called by one another are not counted twice.
STAGES: dict[str, tuple[tuple[Any, str], ...]] = {
    "read": ((catalog.Catalog, "read"),),
    "decode": ((schema.Record, "pixels"), (schema.Record, "mask_pixels")),
    "warp": ((geometry, "warp"),),
    "difference": ((masks, "difference"), (masks, "grey_difference")),
    "poisson": ((blend, "poisson"),),
    "forge": ((generator.Generator, "__call__"),),
    "augment": ((augment, "augment"),),
    "coverage": ((coverage, "of_anchors"),),
}


def main() -> int:
    """Measures, prints and writes."""
    flags = _parser().parse_args()
    cv2.setNumThreads(1)
    memory.keep_freed()
    opened = catalog.open_catalog(flags.data, flags.data_dir)
    measured = measure(opened, flags)
    for name, row in measured.items():
        slowest, fastest = row["rounds"]
        spread = f"(rounds {slowest:.1f} to {fastest:.1f})"
        print(f"{name:8} {row['images_per_core_second']:7.1f} per core-second {spread}")
        for stage, milliseconds in row.get("stages", {}).items():
            print(f"    {stage:10} {milliseconds:6.2f} ms")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory of this process {peak:.0f} MiB")
    if flags.grain:
        print(f"peak memory of a worker process {_weigh_worker(opened, flags):.0f} MiB")
    if flags.json:
        flags.json.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_dir", required=True)
    parser.add_argument("--data", default="practice_faces")
    parser.add_argument("--canvas", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--per_round", type=int, default=100)
    parser.add_argument("--augment", type=float, default=0.1)
    parser.add_argument("--grain", action="store_true")
    parser.add_argument("--json", type=Path, default=None)
    return parser


def measure(opened: catalog.Catalog, flags: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Returns name -> images_per_core_second, the slowest and the fastest of its `rounds`.

    Where they are known `stages` are there too, in milliseconds.
    """
    spec = InputSpec(flags.canvas)
    off = [name for name in augment.AUGMENTATIONS if not getattr(AugmentConfig(), name)]
    options = AugmentConfig(**dict.fromkeys(off, flags.augment))
    config = DataConfig(augment=options)
    draws, maker = _maker(opened, config, spec)
    blends, sbi = _maker(opened, dataclasses.replace(config, forgery=("self_blend",)), spec)

    def floor(i: int) -> None:
        fake = draws[2 * i]
        canvas.align(opened.read(fake.row), spec)
        if fake.partner >= 0:
            canvas.align(opened.read(fake.partner), spec)

    makers: dict[str, Callable[[int], Any]] = {
        "fake": lambda i: maker(draws[2 * i]),
        "genuine": lambda i: maker(draws[2 * i + 1]),
        "sbi": lambda i: (sbi(blends[2 * i]), sbi(blends[2 * i + 1])),
        "floor": floor,
    }
    measured: dict[str, dict[str, Any]] = {}
    for name, make in makers.items():
        measured[name] = {**_rate(make, flags), "stages": _stages(make, flags)}
    with mock.patch.object(blend, "poisson", seamless):
        measured["cv2"] = _rate(makers["fake"], flags)
    if flags.grain:
        measured["grain"] = _grain(opened, config, spec, flags)
    return measured


def seamless(background: np.ndarray, foreground: np.ndarray, mask: np.ndarray) -> blend.Blended:
    """Returns what OpenCV's seamlessClone makes of the same pictures and mask."""
    support = (mask > 0).astype(np.uint8)
    # It clips nothing: a mask at the canvas's edge needs room around it.
    room = cv2.copyMakeBorder(background, 2, 2, 2, 2, cv2.BORDER_REPLICATE)
    face = cv2.copyMakeBorder(foreground, 2, 2, 2, 2, cv2.BORDER_REPLICATE)
    area = cv2.copyMakeBorder(255 * support, 2, 2, 2, 2, cv2.BORDER_CONSTANT)
    x, y, width, height = cv2.boundingRect(area)
    middle = (x + width // 2, y + height // 2)
    cloned = cv2.seamlessClone(face, room, area, middle, cv2.NORMAL_CLONE)[2:-2, 2:-2]
    return blend.Blended(blend.alpha(background, cloned, mask), False)


def _maker(opened, config: DataConfig, spec) -> tuple[sampler.Sampler, samples.SampleMaker]:
    draws = sampler.Sampler(opened, config, 64, 1000, seed=0)
    return draws, samples.SampleMaker(opened, config, spec, feature=7)


def _rate(make: Callable[[int], Any], flags: argparse.Namespace) -> dict[str, Any]:
    make(0)
    spent = []
    for start in range(flags.rounds):
        before = time.process_time()
        for i in range(flags.per_round):
            make(start * flags.per_round + i)
        spent.append(time.process_time() - before)
    return _told(flags.per_round, spent)


def _told(images: int, spent: Sequence[float]) -> dict[str, Any]:
    """What is told of rounds of so many images that took so many CPU seconds."""
    rounds = [images / max(spent), images / min(spent)]
    return {"images_per_core_second": images / statistics.median(spent), "rounds": rounds}


def _stages(make: Callable[[int], Any], flags: argparse.Namespace) -> dict[str, float]:
    """CPU milliseconds of each stage in one call, without the stages called inside it."""
    spent, running = dict.fromkeys(STAGES, 0.0), []
    with contextlib.ExitStack() as stack:
        for stage, functions in STAGES.items():
            for owner, name in functions:
                stack.enter_context(_timed(owner, name, stage, spent, running))
        before = time.process_time()
        for i in range(flags.per_round):
            make(i)
        whole = time.process_time() - before
    spent["rest"] = whole - sum(spent.values())
    return {stage: 1000 * seconds / flags.per_round for stage, seconds in spent.items()}


@contextlib.contextmanager
def _timed(owner, name: str, stage: str, spent: dict, running: list) -> Iterator[None]:
    function = getattr(owner, name)

    def timed(*args, **keys):
        began = time.process_time()
        running.append(0.0)
        try:
            return function(*args, **keys)
        finally:
            taken, inside = time.process_time() - began, running.pop()
            spent[stage] += taken - inside
            if running:
                running[-1] += taken

    with mock.patch.object(owner, name, timed):
        yield


def _grain(opened, config: DataConfig, spec, flags: argparse.Namespace) -> dict[str, Any]:
    """Samples per core-second of whole batches, half of them fakes, from Grain in this process."""
    batches = pipeline.train_iterator(opened, config, spec, 7, 32, 1000, seed=0)
    next(batches)
    count, spent = max(flags.per_round // 32, 1), []
    for _ in range(flags.rounds):
        before = time.process_time()
        for _ in range(count):
            next(batches)
        spent.append(time.process_time() - before)
    return _told(32 * count, spent)


def _weigh_worker(opened: catalog.Catalog, flags: argparse.Namespace) -> float:
    """MiB at most in a process that Grain starts to make batches of 32."""
    config = DataConfig(workers=1)
    batches = pipeline.train_iterator(opened, config, InputSpec(flags.canvas), 7, 32, 1000, seed=0)
    for _ in range(20):
        next(batches)
    batches.close()
    for child in multiprocessing.active_children():
        child.join(10.0)
    # Known of children that have ended.
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


if __name__ == "__main__":
    sys.exit(main())
