"""Scenic's fields (`batch_size`, `num_training_steps`, ...) and ours made into one `Config`.

`config.iid` holds the groups data, model, loss, optim and eval of an iid_jax configuration; the
seed and the length of the run are Scenic's own fields, so that each value stands in one place.
"""

from typing import Any

import ml_collections

from iid_jax import config_file
from iid_jax.config import Config, EvalConfig

GROUPS = ("data", "model", "loss", "optim", "eval")


def groups(config: Config) -> ml_collections.ConfigDict:
    """Returns what of a Config goes to `config.iid`."""
    values = config.to_dict()
    return ml_collections.ConfigDict({name: values[name] for name in GROUPS})


def read_groups(values: Any) -> Config:
    """Returns the Config of `config.iid`, checked; the length of the run is the default one.

    Raises:
      UsageError: an unknown key, with the nearest name, or an impossible value.
    """
    return config_file.from_dict(_plain(values))


def experiment(config: ml_collections.ConfigDict) -> Config:
    """Returns the whole experiment of a Scenic config.

    Raises:
      UsageError: an unknown key, with the nearest name, or an impossible value.
    """
    values = _plain(config.iid)
    log_every = config.get("log_summary_steps") or 20
    eval_every = config.get("log_eval_steps") or config.num_training_steps
    values["seed"] = config.rng_seed
    values["train"] = {
        "steps": config.num_training_steps,
        "batch_size": config.batch_size,
        "log_every": log_every,
        "eval_every": eval_every,
        "checkpoint_every": config.get("checkpoint_steps") or eval_every,
        "keep": config.get("max_checkpoint_keep", 2),
        "best_metric": "frame_auc",
    }
    size = config.get("eval_batch_size") or EvalConfig().batch_size
    values["eval"] = {**values.get("eval", {}), "batch_size": size}
    return config_file.from_dict(values)


def _plain(values: Any) -> dict[str, Any]:
    return values.to_dict() if isinstance(values, ml_collections.ConfigDict) else dict(values)
