"""Our pipeline as a Scenic data set: batches [devices of this process, b, ...] of NumPy arrays."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging
from scenic.dataset_lib import dataset_utils, datasets

from iid_jax.config import Config
from iid_jax.contrib.scenic import settings
from iid_jax.data import builder, people, pipeline, sampler
from iid_jax.data.catalog import Catalog
from iid_jax.errors import UsageError
from iid_jax.models import InputSpec, detector
from iid_jax.training import sharding

NAME = "iid_faces"
FED = ("label", "boxes", "boxes_valid", "coverage")
Batch = dict[str, np.ndarray]


class TrainBatches:
    """The endless-looking iterator of training batches; `flat` gives them without device axis."""

    def __init__(self, flat: "FlatBatches", shards: int):
        self.flat, self._shards = flat, shards

    def __iter__(self) -> "TrainBatches":
        return self

    def __next__(self) -> Batch:
        return shard(next(self.flat), self._shards)


class FlatBatches:
    """The pipeline's batches under Scenic's names, [b, ...]; position and end are theirs."""

    def __init__(self, batches: pipeline.Batches, dtype: np.dtype):
        self._batches, self._dtype = batches, dtype
        self.seek, self.close = batches.seek, batches.close

    def __iter__(self) -> "FlatBatches":
        return self

    def __next__(self) -> Batch:
        batch = next(self._batches)
        mask = np.ones(len(batch["label"]), np.float32)
        inputs = batch["image"].astype(self._dtype, copy=False)
        return {"inputs": inputs, **{name: batch[name] for name in FED}, "batch_mask": mask}


@datasets.add_dataset(NAME)
def get_dataset(
    *,
    batch_size: int,
    eval_batch_size: int,
    num_shards: int,
    dtype_str: str = "uint8",
    shuffle_seed: int | None = 0,
    rng: Any = None,
    dataset_configs: Mapping[str, Any] | None = None,
    dataset_service_address: str | None = None,
) -> dataset_utils.Dataset:
    """Returns Scenic's Dataset over the train, val and test splits of a prepared data set.

    `batch_size` and `eval_batch_size` are this process's; a batch holds inputs (RGB, 0 to 255, of
    type `dtype_str`), label and batch_mask, in training also boxes, boxes_valid and coverage.
    `dataset_configs`: `iid` as in settings.py, `data_dir`, `num_training_steps`. The draw follows
    `shuffle_seed` or, where that is None, `rng`. `valid_iter` and `test_iter` go round for ever:
    one look at all is ceil(num_eval_examples / whole eval batch) batches.

    Raises:
      UsageError: an impossible configuration, or a tf.data service, which cannot serve this.
      DataError: the data set is not prepared, or damaged.
    """
    if dataset_service_address:
        raise UsageError(f"{NAME} is read by Grain; it cannot come from a tf.data service")
    wanted = dict(dataset_configs or {})
    config = settings.read_groups(wanted.get("iid", {}))
    catalog = _open(config, wanted.get("data_dir", "data"))
    _, spec, _ = detector.build_detector(config.model)
    seed = int(jax.random.bits(rng, (), "uint32")) if shuffle_seed is None else int(shuffle_seed)
    batches = pipeline.train_iterator(
        catalog,
        config.data,
        spec,
        detector.feature_side(config.model),
        batch_size * jax.process_count(),
        wanted.get("num_training_steps", config.train.steps),
        seed,
        jax.process_index(),
        jax.process_count(),
    )
    dtype = np.dtype(dtype_str)
    methods = sampler.chosen_methods(catalog, config.data)
    val, test = catalog.select("val", methods=methods), catalog.select("test")
    val = val[np.linspace(0, len(val) - 1, min(len(val), config.eval.val_frames)).astype(int)]
    reading = spec, eval_batch_size, num_shards, dtype
    return dataset_utils.Dataset(
        train_iter=TrainBatches(FlatBatches(batches, dtype), num_shards),
        valid_iter=_for_ever(catalog, val, *reading),
        test_iter=_for_ever(catalog, test, *reading),
        meta_data={
            "num_classes": 2,
            "input_shape": (-1, spec.size, spec.size, 3),
            "input_dtype": jnp.dtype(dtype_str),
            "target_is_onehot": False,
            "num_train_examples": len(catalog.select("train", methods=methods)),
            "num_eval_examples": len(val),
            "num_test_examples": len(test),
        },
    )


def shard(batch: Batch, shards: int) -> Batch:
    """Returns arrays [b, ...] as [shards, b / shards, ...]."""
    return {name: v.reshape(shards, -1, *v.shape[1:]) for name, v in batch.items()}


def unshard(batch: Batch) -> Batch:
    """Returns arrays [shards, b, ...] as [shards * b, ...]."""
    return {name: v.reshape(-1, *v.shape[2:]) for name, v in batch.items()}


def _open(config: Config, data_dir: str) -> Catalog:
    """The catalog; the first process makes a data set that needs nothing but code."""
    name = people.data_name(config.data)
    if jax.process_index() == 0:
        builder.ensure(name, data_dir, quiet=True)
    sharding.meet("data prepared")
    return builder.ensure(name, data_dir, quiet=True)


def _for_ever(
    catalog: Catalog, rows: np.ndarray, spec: InputSpec, size: int, shards: int, dtype: np.dtype
) -> Iterator[Batch]:
    """This process's share of the rows, again and again, as many batches a round in every one."""
    mine = rows[jax.process_index() :: jax.process_count()]
    rounds = -(-len(rows) // (size * jax.process_count()))
    nothing = {
        "inputs": np.zeros((size, spec.size, spec.size, 3), dtype),
        "label": np.zeros(size, np.int32),
        "batch_mask": np.zeros(size, np.float32),
    }
    while len(rows):
        made = (_evaluated(b, dtype) for b in pipeline.eval_batches(catalog, mine, spec, size))
        for batch in itertools.islice(itertools.chain(made, itertools.repeat(nothing)), rounds):
            yield shard(batch, shards)


def _evaluated(batch: dict[str, Any], dtype: np.dtype) -> Batch:
    lost = batch["status"].count("unreadable")
    if lost:
        logging.warning("%d records cannot be read and are not counted", lost)
    return {
        "inputs": batch["image"].astype(dtype, copy=False),
        "label": batch["label"],
        "batch_mask": batch["valid"].astype(np.float32),
    }
