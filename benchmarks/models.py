"""What the detectors cost: the table of docs/models.md.

  python benchmarks/models.py [--models resnet18,...] [--no-speed]

With the whole ADM at 224 px, and in a line of their own with a slim one (256 channels): parameters,
multiply-adds of one picture, memory of a training step at batch 32 in float32 as XLA plans it for
the device at hand (arguments, results and temporaries; on GPU and TPU the compiler plans
otherwise), seconds to compile that step, and pictures per second of core time or, on a GPU, of
time, in batches of 16.
"""

import argparse
import dataclasses
import math
import os
import statistics
import sys
import time
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
if os.environ.get("JAX_PLATFORMS", "cpu") == "cpu":
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
# What was compiled before would seem to take no time.
os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "false"

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import jaxprs_in_params

from iid_jax.config import LossConfig, ModelConfig, OptimConfig
from iid_jax.models import detector
from iid_jax.models.initial import initialise
from iid_jax.models.xla import compiler_options
from iid_jax.training import optim, sharding
from iid_jax.training.state import State
from iid_jax.training.step import make_step

SIDE, TRAINED, SCORED, ROUNDS, SLIM, BOXES = 224, 32, 16, 3, 256, 2
MODELS = (
    *("resnet18", "resnet34", "resnet50", "efficientnet_b0", "efficientnet_b3"),
    *("efficientnet_b4", "xception"),
)
TITLES = (
    *("backbone", "ADM", "parameters, millions", "multiply-adds, 10^9", "training step, GiB"),
    *("compiled in, s", "pictures/s"),
)


def main() -> int:
    """Prints the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--no-speed", action="store_true", help="leave the last column empty")
    flags = parser.parse_args()
    print(f"{jax.devices()[0].device_kind}, load {os.getloadavg()[0]:.1f}", file=sys.stderr)
    print(f"| {' | '.join(TITLES)} |\n|{'---|' * len(TITLES)}", flush=True)
    for name in flags.models.split(","):
        for width in (None, SLIM):
            config = ModelConfig(name, adm_width=width, canvas=SIDE, dtype="float32")
            print(f"| {' | '.join(row(config, not flags.no_speed))} |", flush=True)
    return 0


def row(config: ModelConfig, speed: bool) -> list[str]:
    """Returns the cells of a detector."""
    module, spec, anchors = detector.build_detector(config)
    images = jax.ShapeDtypeStruct((1, SIDE, SIDE, 3), jnp.float32)
    variables = jax.eval_shape(module.init, jax.random.key(0), images)
    count = sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
    work = multiply_adds(jax.make_jaxpr(module.apply)(variables, images).jaxpr)
    memory, seconds = training_step(module, spec, anchors, variables)
    return [
        *(config.backbone, str(config.adm_width or "whole"), f"{count / 1e6:.1f}"),
        *(f"{work / 1e9:.1f}", f"{memory / 2**30:.1f}", f"{seconds:.0f}"),
        f"{scored(config):.1f}" if speed else "",
    ]


def multiply_adds(jaxpr: Any) -> int:
    """Returns the products of all convolutions and matrix products of a program.

    Of branches the one with most is counted: a depthwise convolution is one on every platform.
    """
    total = 0
    for equation in jaxpr.eqns:
        if equation.primitive.name == "conv_general_dilated":
            kernel = equation.invars[1].aval.shape
            per_value = (
                math.prod(kernel) // kernel[equation.params["dimension_numbers"].rhs_spec[0]]
            )
            total += math.prod(equation.outvars[0].aval.shape) * per_value
        elif equation.primitive.name == "dot_general":
            ((contracted, _), _) = equation.params["dimension_numbers"]
            shape = equation.invars[0].aval.shape
            inner = math.prod(shape[axis] for axis in contracted)
            total += math.prod(equation.outvars[0].aval.shape) * inner
        inside = [multiply_adds(part) for part in jaxprs_in_params(equation.params)]
        total += (max if equation.primitive.name == "cond" else sum)(inside or [0])
    return total


def training_step(module: Any, spec: Any, anchors: Any, variables: Any) -> tuple[int, float]:
    """Returns (bytes, seconds of compilation) of a training step; nothing of it is run."""
    tx = optim.optimiser(OptimConfig(), 100)
    params = variables["params"]
    step = jax.ShapeDtypeStruct((), jnp.int32)
    state = State(step, params, variables["batch_stats"], jax.eval_shape(tx.init, params))
    mesh = sharding.make_mesh(TRAINED, devices=jax.devices()[:1])
    shapes = {
        "image": ((SIDE, SIDE, 3), np.uint8),
        "label": ((), np.int32),
        "boxes": ((BOXES, 4), np.float32),
        "boxes_valid": ((BOXES,), np.bool_),
        "coverage": ((len(anchors),), np.float32),
    }
    batch = {n: jax.ShapeDtypeStruct((TRAINED, *s), kind) for n, (s, kind) in shapes.items()}
    run = make_step(module, spec, anchors, LossConfig(), tx, state, mesh)
    lowered = run.lower(state, batch)
    before = time.perf_counter()
    planned = lowered.compile().memory_analysis()
    seconds = time.perf_counter() - before
    held = planned.argument_size_in_bytes + planned.output_size_in_bytes
    return held - planned.alias_size_in_bytes + planned.temp_size_in_bytes, seconds


def scored(config: ModelConfig) -> float:
    """Returns the pictures per second of core time (of time where it is no CPU)."""
    module, spec, _ = detector.build_detector(dataclasses.replace(config))
    variables = initialise(module, spec, seed=0)
    images = jnp.asarray(np.random.default_rng(0).standard_normal((SCORED, SIDE, SIDE, 3)))
    forward = jax.jit(lambda v, x: module.apply(v, x)[:3], compiler_options=compiler_options())
    jax.block_until_ready(forward(variables, images))
    clock = time.process_time if jax.default_backend() == "cpu" else time.perf_counter
    taken = []
    for _ in range(ROUNDS):
        before = clock()
        jax.block_until_ready(forward(variables, images))
        taken.append(clock() - before)
    return SCORED / statistics.median(taken)


if __name__ == "__main__":
    sys.exit(main())
