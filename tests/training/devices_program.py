"""Prints the losses of three steps on 1 device, on 8 and on 4 x 2 (fsdp), of 8 CPU devices."""

import json
import sys

import jax
import numpy as np
import run_tiny

from iid_jax import boxes
from iid_jax.config import LossConfig, OptimConfig
from iid_jax.models import detector
from iid_jax.training import optim, sharding, state, step

BATCH, STEPS = 16, 3


def main() -> dict:
    """Returns {layout: {losses, split: how many leaves fsdp split}}."""
    sharding.SMALLEST_SPLIT = 64
    module, spec, anchors = detector.build_detector(run_tiny.tiny_config().model)
    tx = optim.optimiser(OptimConfig(), STEPS)
    found = {}
    for layout, devices, fsdp in (("1", 1, 1), ("8", 8, 1), ("4x2", 8, 2)):
        mesh = sharding.make_mesh(BATCH, fsdp, jax.devices()[:devices])
        current = state.create(module, spec, tx, 0, mesh)
        split = [not x.is_fully_replicated for x in jax.tree.leaves(current)]
        run = step.make_step(module, spec, anchors, LossConfig(), tx, current, mesh)
        losses = []
        for number in range(STEPS):
            fed = sharding.to_devices(_batch(number), sharding.batch_sharding(mesh))
            current, scalars = run(current, fed)
            losses.append(float(scalars["loss"]))
        found[layout] = {"losses": losses, "split": sum(split)}
    return found


def _batch(number: int) -> dict[str, np.ndarray]:
    """Pictures that get brighter over the batch: statistics of a part would not be the whole's."""
    rng = np.random.default_rng(number)
    fake = np.arange(BATCH) % 2 == 0
    bright = np.linspace(20, 200, BATCH)[:, None, None, None]
    image = bright + rng.integers(0, 50, (BATCH, 96, 96, 3))
    return {
        "image": image.astype(np.uint8),
        "label": fake.astype(np.int32),
        "boxes": np.array([[[0, 0, 1, 1], [0.1, 0.2, 0.5, 0.6]]] * BATCH, np.float32),
        "boxes_valid": np.repeat(fake[:, None], 2, 1),
        "coverage": np.zeros((BATCH, len(boxes.anchors(96, 6))), np.float32),
    }


if __name__ == "__main__":
    json.dump(main(), sys.stdout)
