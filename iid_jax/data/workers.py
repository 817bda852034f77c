"""Processes for preparing data: one thread each, and none outlives what started it.

A decoder may crash on a file and take its process along. Such a task is found and costs itself
alone: what was under way is done once more, one task at a time, until a process dies again.
"""

import collections
import itertools
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import cv2

from iid_jax.errors import DataError

DIED = "its process died: a crash in a decoder or in the landmarker, or too little memory"
# Tasks a process under way or waiting: enough to keep all busy, few to be suspected of a death.
AHEAD = 4


class Workers:
    """`jobs` processes, each of which first calls `start(*arguments)`; a context manager."""

    def __init__(self, jobs: int, start: Callable[..., None], *arguments: Any):
        self.jobs, self._start = jobs, (start, arguments)
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *exception: Any) -> None:
        self._close()

    def map(
        self, work: Callable[[Any], Any], tasks: Iterable[Any], died: Callable[[Any], Any]
    ) -> Iterator[Any]:
        """Yields `work(task)` in order, `died(task)` in place of one that killed its process.

        Raises:
          DataError: processes die before they are given a task.
        """
        todo = collections.deque(tasks)
        while todo:
            try:
                yield from self._together(work, todo)
            except BrokenProcessPool:
                self._close()
                yield from self._one_by_one(work, todo, died)

    def _together(self, work: Callable[[Any], Any], todo: collections.deque) -> Iterator[Any]:
        self._pool = pool = self._pool or self._processes(self.jobs)
        flying: collections.deque = collections.deque()
        while todo:
            for task in itertools.islice(todo, len(flying), AHEAD * self.jobs):
                flying.append(pool.submit(work, task))
            result = flying.popleft().result()
            todo.popleft()
            yield result

    def _one_by_one(
        self, work: Callable[[Any], Any], todo: collections.deque, died: Callable[[Any], Any]
    ) -> Iterator[Any]:
        """The tasks that were under way, up to the first that kills its process."""
        with self._processes(1) as pool:
            _check(pool)
            for _ in range(min(AHEAD * self.jobs, len(todo))):
                task = todo.popleft()
                try:
                    result = pool.submit(work, task).result()
                except BrokenProcessPool:
                    yield died(task)
                    return
                yield result

    def _processes(self, jobs: int) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(jobs, context, _start, self._start)

    def _close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None


def _check(pool: ProcessPoolExecutor) -> None:
    """Raises DataError where the fault is no task's."""
    try:
        pool.submit(os.getpid).result()
    except BrokenProcessPool as error:
        raise DataError(
            "worker processes die before they are given any work (too little memory?); run the "
            "command again with --jobs=1"
        ) from error


def _start(start: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    # A worker waits for tasks forever, also those of a parent that was killed.
    threading.Thread(target=_end_with_parent, daemon=True).start()
    cv2.setNumThreads(1)
    start(*arguments)


def _end_with_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)
