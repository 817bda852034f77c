"""The quickstart as a Scenic experiment.

  python -m iid_jax.contrib.scenic.main --config=iid_jax/contrib/scenic/config.py --workdir=W

What follows a colon (`config.py:method=binary,steps=300`) are the arguments of
configs/quickstart.py.
"""

import ml_collections

from iid_jax import config_file
from iid_jax.contrib.scenic import settings


def get_config(argument: str = "") -> ml_collections.ConfigDict:
    """Returns the experiment's configuration."""
    ours = config_file.load(f"quickstart.py:{argument or ''}")
    config = ml_collections.ConfigDict()
    config.experiment_name = "iid_jax"
    config.rng_seed = ours.seed
    config.num_training_steps = ours.train.steps
    config.batch_size = ours.train.batch_size
    config.eval_batch_size = ours.eval.batch_size
    config.log_summary_steps = ours.train.log_every
    config.log_eval_steps = ours.train.eval_every
    config.checkpoint_steps = ours.train.checkpoint_every
    config.max_checkpoint_keep = ours.train.keep
    config.checkpoint = True

    config.model_name = "iid_detector"
    config.iid = settings.groups(ours)

    config.dataset_name = "iid_faces"
    config.data_dtype_str = "uint8"
    config.shuffle_seed = ours.seed
    config.dataset_configs = ml_collections.ConfigDict({"data_dir": "data"})
    # The same objects: what the command line sets in one place holds in the other.
    config.dataset_configs.iid = config.iid
    config.dataset_configs.num_training_steps = config.get_ref("num_training_steps")
    return config
