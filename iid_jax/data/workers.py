"""A pool of processes for preparing data: one thread each, and none outlives what started it."""

import contextlib
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import cv2

from iid_jax.errors import DataError


@contextlib.contextmanager
def pool(jobs: int, start: Callable[..., None], *arguments: Any) -> Iterator[ProcessPoolExecutor]:
    """Gives an executor of `jobs` processes, each of which first calls `start(*arguments)`.

    Raises:
      DataError: a process died, as one does for which there is no memory.
    """
    context = multiprocessing.get_context("spawn")
    executor = ProcessPoolExecutor(jobs, context, _start, (start, arguments))
    try:
        yield executor
    except BrokenProcessPool as error:
        raise DataError(
            f"a worker process died (too little memory?); run the command again with fewer than "
            f"--jobs={jobs}"
        ) from error
    finally:
        executor.shutdown(cancel_futures=True)


def _start(start: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    # A worker waits for tasks forever, also those of a parent that was killed.
    threading.Thread(target=_end_with_parent, daemon=True).start()
    cv2.setNumThreads(1)
    start(*arguments)


def _end_with_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)
