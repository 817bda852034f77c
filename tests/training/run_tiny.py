"""A backbone that compiles in a moment, and training with it; also a program, to be killed.

  python run_tiny.py WORKDIR DATA_DIR [slow] [forget]

`slow` leaves time to be killed; with `forget` the data position is not restored.
"""

import sys
import time
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from iid_jax import config_file
from iid_jax.errors import UserError
from iid_jax.models import names, register
from iid_jax.models.norm import BatchNorm

NAME, STEPS, SAVED_EVERY = "tiny", 12, 3


class Tiny(nn.Module):
    """Two convolutions: 96 px to a 6x6 map of 16 channels."""

    dtype: Any = jnp.float32
    bn_momentum: float = 0.9
    bn_epsilon: float = 1e-5
    stride = 16
    feature_width = 16

    @nn.compact
    def __call__(self, x, train):
        """Returns (map, features)."""
        x = nn.Conv(16, (4, 4), strides=4, dtype=self.dtype, name="conv1")(x)
        x = nn.relu(BatchNorm(name="bn1")(x, train))
        x = nn.Conv(16, (4, 4), strides=4, dtype=self.dtype, name="conv2")(x)
        return nn.relu(BatchNorm(name="bn2")(x, train)), {}


def add_backbone() -> None:
    """Registers the backbone once."""
    if NAME not in names():
        register(NAME, Tiny, parameters=5_000, canvas=96, source="tests")


def tiny_config(**train: Any):
    """Returns the configuration of a run of seconds; `train` are keys of config.train."""
    add_backbone()
    values = {
        "model": {"backbone": NAME, "canvas": 96, "adm_width": 8, "dtype": "float32"},
        "optim": {"learning_rate": 1e-3},
        "train": {
            "steps": STEPS,
            "batch_size": 4,
            "log_every": 2,
            "eval_every": STEPS // 2,
            "checkpoint_every": SAVED_EVERY,
            **train,
        },
        "eval": {"batch_size": 8, "val_frames": 8},
    }
    return config_file.from_dict(values)


def main(workdir: str, data_dir: str, *flags: str) -> int:
    """Trains; returns the exit code of what the command line would end with."""
    from iid_jax.data.catalog import open_catalog
    from iid_jax.training import feed, loop, sharding

    if "forget" in flags:
        feed.Feed.resume = lambda self, step: None
    Path(workdir).mkdir(parents=True, exist_ok=True)
    if "slow" in flags:
        take = feed.Feed.__next__
        feed.Feed.__next__ = lambda self: time.sleep(0.25) or take(self)
    config = tiny_config()
    sharding.start(config.train.batch_size)
    try:
        loop.train(config, Path(workdir), open_catalog("practice_faces", data_dir))
    except UserError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
