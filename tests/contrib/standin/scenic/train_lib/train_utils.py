"""How mains make the data set: this process's batch sizes, one shard for each of its devices."""

import jax

from scenic.dataset_lib import datasets


def get_dataset(
    config,
    data_rng,
    *,
    num_local_shards=None,
    dataset_service_address=None,
    dataset_name=None,
    dataset_configs=None,
    **kwargs,
):
    builder = datasets.get_dataset(dataset_name or config.dataset_name)
    return builder(
        batch_size=config.batch_size // jax.process_count(),
        eval_batch_size=config.get("eval_batch_size", config.batch_size) // jax.process_count(),
        num_shards=num_local_shards or jax.local_device_count(),
        dtype_str=config.data_dtype_str,
        rng=data_rng,
        shuffle_seed=config.get("shuffle_seed", None),
        dataset_configs=dataset_configs or config.get("dataset_configs", {}),
        dataset_service_address=dataset_service_address,
        **kwargs,
    )
