"""The batches of training (Grain, random and resumable) and of evaluation (every record once)."""

import concurrent.futures
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import cv2
import grain
import numpy as np

from iid_jax import memory
from iid_jax.config import DataConfig
from iid_jax.data import canvas
from iid_jax.data.catalog import Catalog
from iid_jax.data.sampler import Sampler
from iid_jax.data.samples import SampleMaker
from iid_jax.errors import DataError, first_line

# What Grain says of a worker process that ended by itself.
_LOST_WORKER = "Worker process was terminated"


def train_iterator(
    catalog: Catalog,
    config: DataConfig,
    spec: canvas.CanvasSpec,
    feature: int,
    batch_size: int,
    steps: int,
    seed: int,
    process_index: int = 0,
    process_count: int = 1,
) -> "Batches":
    """Returns `steps` batches; same seed, same batches for any worker count.

    A batch is a dict of image uint8 (B, S, S, 3), label int32 (B,), boxes (B, 2, 4) and
    boxes_valid (B, 2), coverage (B, A), outcome int32 (B,), record int64 (B,): B is this process's
    share of `batch_size`.
    """
    sampler = Sampler(catalog, config, batch_size, steps, seed, process_index, process_count)
    maker = SampleMaker(catalog, config, spec, feature)
    return Batches(sampler, maker, sampler.local, config.workers)


class Batches:
    """Batches of `maker(source[k])` in order, by Grain in `workers` processes or in this one.

    Element k depends on k alone, so a run goes on from the number of batches it has had, with as
    many workers as it likes. (Grain's own position holds every worker's, and restoring it waits for
    ever where one of them dies meanwhile.)
    """

    def __init__(self, source: Sequence[Any], maker: Callable[[Any], Any], size: int, workers: int):
        self._batches = grain.MapDataset.source(source).map(maker).batch(size, drop_remainder=True)
        self._workers = workers
        self._position, self._iterator = 0, None

    def seek(self, position: int) -> None:
        """Goes on with the batch of this number; the first is 0."""
        self.close()
        self._position = position

    def close(self) -> None:
        """Ends the worker processes, if there are any."""
        if self._iterator is not None:
            self._iterator.close()
            self._iterator = None

    def __iter__(self) -> "Batches":
        return self

    def __next__(self) -> dict[str, np.ndarray]:
        """Returns the next batch.

        Raises:
          DataError: a worker process is gone, or a record is damaged.
        """
        if self._iterator is None:
            self._iterator = self._start()
        try:
            batch = next(self._iterator)
        except StopIteration:
            raise
        except Exception as error:
            # An iterator that failed once looks as if it were at its end.
            self.close()
            if _LOST_WORKER in str(error):
                raise _lost(error) from error
            raise
        self._position += 1
        return batch

    def _start(self) -> grain.DatasetIterator:
        reading = grain.ReadOptions(num_threads=1, prefetch_buffer_size=2)
        batches = self._batches[self._position :].to_iter_dataset(reading)
        if self._workers:
            _allow_multiprocessing()
            options = grain.MultiprocessingOptions(
                num_workers=self._workers, per_worker_buffer_size=2
            )
            batches = batches.mp_prefetch(options, worker_init_fn=_start_worker)
        return iter(batches)


def eval_batches(
    catalog: Catalog, rows: np.ndarray, spec: canvas.CanvasSpec, batch_size: int
) -> Iterator[dict[str, Any]]:
    """Yields every row once, aligned without jitter; the last batch is padded and masked.

    A batch is a dict of image uint8 (B, S, S, 3), label (B,), record int64 (B,), valid bool (B,),
    matrix (B, 3, 3) from crop to canvas, status: list of `ok` or why the record has no pixels.
    """

    def look(row: int) -> canvas.Canvas | None:
        try:
            return canvas.align(catalog.read(row), spec)
        except DataError:
            return None

    # Decoding and warping leave Python's lock to others.
    with concurrent.futures.ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for start in range(0, len(rows), batch_size):
            chunk = rows[start : start + batch_size]
            batch = {
                "image": np.zeros((batch_size, spec.size, spec.size, 3), np.uint8),
                "label": np.zeros(batch_size, np.int32),
                "record": np.full(batch_size, -1, np.int64),
                "valid": np.zeros(batch_size, bool),
                "matrix": np.tile(np.eye(3), (batch_size, 1, 1)),
                "status": ["padding"] * batch_size,
            }
            batch["record"][: len(chunk)] = chunk
            batch["label"][: len(chunk)] = catalog.columns["label"][chunk]
            for place, picture in enumerate(pool.map(look, chunk)):
                if picture is None:
                    batch["status"][place] = "unreadable"
                    continue
                batch["image"][place], batch["matrix"][place] = picture.image, picture.matrix
                batch["valid"][place], batch["status"][place] = True, "ok"
            yield batch


def _lost(error: Exception) -> DataError:
    return DataError(
        f"{first_line(error)} It made training samples; -9 is mostly a lack of memory: fewer "
        "--config.data.workers need less. The same command goes on from the newest checkpoint"
    )


def _start_worker(index: int, count: int) -> None:
    cv2.setNumThreads(1)
    memory.keep_freed()


def _allow_multiprocessing() -> None:
    """Marks absl's flags as parsed: Grain's workers refuse to start outside absl.app otherwise."""
    from absl import flags

    if not flags.FLAGS.is_parsed():
        flags.FLAGS(sys.argv[:1])
