"""Images per core-second of whole detectors, and of the same networks in PyTorch, in one run.

  python benchmarks/step.py [--models resnet34,efficientnet_b4] [--rounds 3] [--json=FILE]

One thread, 224 px, float32: evaluation in batches of 16, a training step (forward, backward,
AdamW) in batches of 8. CPU time, so that other work on the machine counts little; the two take
turns, and the median of the rounds counts. PyTorch runs eagerly; where it is not installed (the
[torch] extra) its columns stay empty. The loss is the same simple one on both sides: cross entropy
of the logits and the mean squares of the box outputs; dropout and drop-connect are off.
"""

import argparse
import json
import math
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Before anything imports JAX or PyTorch.
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["XLA_FLAGS"] = (
    "--xla_cpu_multi_thread_eigen=false --xla_force_host_platform_device_count=1"
)

import jax
import jax.numpy as jnp
import numpy as np
import optax

from iid_jax.models.detector import Detector
from iid_jax.models.efficientnet import HEAD_WIDTH, STAGES, STEM_WIDTH, VARIANTS, scaled_width
from iid_jax.models.initial import initialise
from iid_jax.models.input_spec import InputSpec
from iid_jax.models.xla import compiler_options

SIDE, BATCHES = 224, {"eval": 16, "train": 8}
LEARNING_RATE, WEIGHT_DECAY = 3.6e-4, 4e-3
COLUMNS = ("JAX", "PyTorch", "ratio")

Run = Callable[[], None]


def main() -> int:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", default="resnet34,efficientnet_b4")
    parser.add_argument("--modes", default="eval,train")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    flags = parser.parse_args()
    try:
        import torch
    except ImportError:
        torch = None
        print("PyTorch is not installed: pip install 'iid_jax[torch]' to compare", file=sys.stderr)
    found: dict[str, dict[str, Any]] = {}
    print(f"{'':26}" + "".join(f"{name:>10}" for name in COLUMNS))
    for model in flags.models.split(","):
        for mode in flags.modes.split(","):
            rates = measure(model, mode, flags.rounds, torch)
            found.setdefault(model, {})[mode] = rates
            cells = "".join(f"{rates[name]:10.2f}" for name in COLUMNS if name in rates)
            print(f"{model + ', ' + mode:26}{cells}", flush=True)
    if flags.json:
        flags.json.write_text(json.dumps({"load": os.getloadavg(), "rates": found}, indent=1))
    return 0


def measure(model: str, mode: str, rounds: int, torch: Any) -> dict[str, float]:
    """Returns images per core-second of each side, and how many times PyTorch's JAX's are."""
    count = BATCHES[mode]
    images = np.random.default_rng(0).standard_normal((count, SIDE, SIDE, 3), np.float32)
    labels = np.arange(count) % 2
    runs = {"JAX": jax_run(model, mode, images, labels)}
    if torch:
        runs["PyTorch"] = torch_run(torch, model, mode, images, labels)
    for run in runs.values():
        run()
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            before = time.process_time()
            run()
            taken[name].append(time.process_time() - before)
    rates = {name: count / statistics.median(times) for name, times in taken.items()}
    return rates | ({"ratio": rates["JAX"] / rates["PyTorch"]} if torch else {})


# ------------------------------------------------------------------------------------------- JAX


def jax_run(model: str, mode: str, images: np.ndarray, labels: np.ndarray) -> Run:
    """Returns what runs one batch to its end."""
    drops = {"drop_connect": 0.0} if model in VARIANTS else {}
    module = Detector(model, dropout=0.0, **drops)
    variables = initialise(module, InputSpec(SIDE), seed=0)
    options = {"compiler_options": compiler_options()}
    if mode == "eval":
        forward = jax.jit(lambda v, x: module.apply(v, x)[:3], **options)
        return lambda: jax.block_until_ready(forward(variables, images))
    tx = optax.adamw(LEARNING_RATE, weight_decay=WEIGHT_DECAY)

    def loss(params, stats, images):
        inputs = {"params": params, "batch_stats": stats}
        found, updated = module.apply(inputs, images, train=True, mutable=["batch_stats"])
        entropy = optax.softmax_cross_entropy_with_integer_labels(found.logits, labels).mean()
        total = entropy + jnp.square(found.deltas).mean() + jnp.square(found.box_logits).mean()
        return total, updated["batch_stats"]

    def step(params, stats, state, images):
        grads, stats = jax.grad(loss, has_aux=True)(params, stats, images)
        updates, state = tx.update(grads, state, params)
        return optax.apply_updates(params, updates), stats, state

    compiled = jax.jit(step, donate_argnums=(0, 1, 2), **options)
    now = [(variables["params"], variables["batch_stats"], tx.init(variables["params"]))]

    def run():
        now[0] = jax.block_until_ready(compiled(*now[0], images))

    return run


# --------------------------------------------------------------------------------------- PyTorch


def torch_run(torch: Any, model: str, mode: str, images: np.ndarray, labels: np.ndarray) -> Run:
    """Returns the same with PyTorch."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = detector_in_torch(torch, model)
    given = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
    wanted = torch.from_numpy(labels)
    if mode == "eval":
        network.eval()

        def forward():
            with torch.inference_mode():
                network(given)

        return forward
    settings = {"lr": LEARNING_RATE, "weight_decay": WEIGHT_DECAY}
    optimiser = torch.optim.AdamW(network.parameters(), **settings)

    def step():
        logits, deltas, box_logits = network(given)
        entropy = torch.nn.functional.cross_entropy(logits, wanted)
        (entropy + deltas.square().mean() + box_logits.square().mean()).backward()
        optimiser.step()
        optimiser.zero_grad()

    return step


def detector_in_torch(torch: Any, model: str) -> Any:
    """Returns the detector with the whole ADM as a module, on a ResNet or an EfficientNet."""
    nn = torch.nn
    trunk, width = (efficientnet if model in VARIANTS else resnet)(torch, model)

    class Residual(nn.Module):
        def __init__(self, kernel):
            super().__init__()
            self.main = nn.Sequential(
                nn.Conv2d(width, width, kernel),
                nn.BatchNorm2d(width),
                nn.ReLU(inplace=True),
                nn.Conv2d(width, width, 3, padding=1, bias=False),
                nn.BatchNorm2d(width),
            )
            shortcut = nn.Conv2d(width, width, kernel, bias=False)
            self.shortcut = nn.Sequential(shortcut, nn.BatchNorm2d(width))

        def forward(self, x):
            return (self.main(x) + self.shortcut(x)).relu()

    class End(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.shortcut = (nn.Conv2d(width, width, 3) for _ in range(2))
            self.second = nn.Conv2d(width, width, 1)

        def forward(self, x):
            y = self.second(self.first(x).relu()) + self.shortcut(x)
            return y.relu().mean((2, 3), keepdim=True)

    class Whole(nn.Module):
        def __init__(self):
            super().__init__()
            self.trunk = trunk
            self.blocks = nn.ModuleList([*(Residual(kernel) for kernel in (1, 3, 3)), End()])
            kernels = (3, 3, 3, 1)
            self.heads = nn.ModuleList(
                nn.ModuleList(nn.Conv2d(width, 2 * n, k, padding=k // 2) for k in kernels)
                for n in (4, 2)
            )
            self.classifier = nn.Linear(width, 2)

        def forward(self, x):
            x = self.trunk(x)
            maps, y = [], x
            for block in self.blocks:
                y = block(y)
                maps.append(y)
            found = [
                torch.cat(
                    [
                        head(m).permute(0, 2, 3, 1).reshape(len(m), -1, n)
                        for head, m in zip(heads, maps, strict=True)
                    ],
                    1,
                )
                for heads, n in zip(self.heads, (4, 2), strict=True)
            ]
            return self.classifier(x.mean((2, 3)) + maps[-1][..., 0, 0]), *found

    return Whole()


def resnet(torch: Any, model: str) -> tuple[Any, int]:
    """Returns (ResNet of basic blocks, its width)."""
    nn = torch.nn
    blocks = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3)}[model]

    class Basic(nn.Module):
        def __init__(self, before, after, stride):
            super().__init__()
            self.main = nn.Sequential(
                nn.Conv2d(before, after, 3, stride, 1, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(inplace=True),
                nn.Conv2d(after, after, 3, 1, 1, bias=False),
                nn.BatchNorm2d(after),
            )
            self.shortcut = nn.Identity()
            if stride > 1 or before != after:
                conv = nn.Conv2d(before, after, 1, stride, bias=False)
                self.shortcut = nn.Sequential(conv, nn.BatchNorm2d(after))

        def forward(self, x):
            return (self.main(x) + self.shortcut(x)).relu()

    layers = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True)]
    layers.append(nn.MaxPool2d(3, 2, 1))
    before = 64
    for stage, count in enumerate(blocks):
        for number in range(count):
            after = 64 * 2**stage
            layers.append(Basic(before, after, 2 if number == 0 and stage else 1))
            before = after
    return nn.Sequential(*layers), before


def efficientnet(torch: Any, model: str) -> tuple[Any, int]:
    """Returns (EfficientNet, its width)."""
    nn = torch.nn
    width, depth, *_ = VARIANTS[model]

    def conv(before, after, kernel, stride=1, groups=1, act=True):
        # 'SAME' padding: at stride 2 and even sides the odd pixel is below and right.
        total = kernel - stride
        sides = (total // 2, total - total // 2)
        layers = [
            nn.ZeroPad2d((*sides, *sides)) if total else nn.Identity(),
            nn.Conv2d(before, after, kernel, stride, groups=groups, bias=False),
            nn.BatchNorm2d(after, eps=1e-3, momentum=0.01),
        ]
        return nn.Sequential(*layers, *([nn.SiLU(inplace=True)] if act else []))

    class Excitation(nn.Module):
        def __init__(self, inner, squeezed):
            super().__init__()
            self.reduce = nn.Conv2d(inner, squeezed, 1)
            self.expand = nn.Conv2d(squeezed, inner, 1)

        def forward(self, x):
            y = torch.nn.functional.silu(self.reduce(x.mean((2, 3), keepdim=True)))
            return x * self.expand(y).sigmoid()

    class Block(nn.Module):
        def __init__(self, before, after, kernel, stride, expansion):
            super().__init__()
            inner = before * expansion
            expand = [conv(before, inner, 1)] if expansion > 1 else []
            self.adds = stride == 1 and before == after
            self.main = nn.Sequential(
                *expand,
                conv(inner, inner, kernel, stride, groups=inner),
                Excitation(inner, max(1, before // 4)),
                conv(inner, after, 1, act=False),
            )

        def forward(self, x):
            return x + self.main(x) if self.adds else self.main(x)

    before = scaled_width(STEM_WIDTH, width)
    layers = [conv(3, before, 3, 2)]
    for stage in STAGES:
        after = scaled_width(stage.width, width)
        for number in range(math.ceil(stage.blocks * depth)):
            stride = stage.stride if number == 0 else 1
            layers.append(Block(before, after, stage.kernel, stride, stage.expansion))
            before = after
    last = scaled_width(HEAD_WIDTH, width)
    return nn.Sequential(*layers, conv(before, last, 1)), last


if __name__ == "__main__":
    sys.exit(main())
