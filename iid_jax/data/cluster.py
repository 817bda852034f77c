"""Doing a builder's tasks with Apache Beam, on this machine or on a cluster (the `[beam]` extra).

Workers leave what a task gave among the parts, as a preparation without Beam does, and the
preparation then finds them: the data set has the same bytes, and a killed pipeline is gone on
with. So the source and the folder of the data set must be seen by every worker under one path.
"""

import dataclasses
import functools
import os
import shlex
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iid_jax.data import loading
from iid_jax.data.prepared import Settings
from iid_jax.errors import DataError, UsageError

if TYPE_CHECKING:
    from iid_jax.data.base import FaceDatasetBuilder

INSTALL = "pip install 'iid-jax[beam]'"
# A runner may give one process several threads; dlib's models serve one at a time.
_one_at_a_time = threading.Lock()


def do(builder: "FaceDatasetBuilder", tasks: list[Any], command: str) -> None:
    """Does the tasks that are not done yet.

    `command` is a Beam runner and its options, as in `FlinkRunner --flink_master=host:8081`.

    Raises:
      UsageError: Beam is not installed, there is no such runner, or the builder keeps no parts.
      DataError: the pipeline failed.
    """
    beam, options = _imported(), _options(command)
    parts = builder.parts
    if parts is None or not all(map(builder.part, tasks)):
        raise UsageError(f"{builder.name} is not made of videos; leave out --beam={command}")
    left = [task for task in tasks if not (parts / builder.part(task)).is_file()]
    if not left:
        return
    source = os.path.abspath(builder.settings.source)
    work = functools.partial(
        _work,
        name=f"{builder.name}/{builder.builder_config.name}",
        settings=dataclasses.replace(builder.settings, source=source),
        parts=os.path.abspath(parts),
    )
    try:
        with beam.Pipeline(options=options) as pipeline:
            todo = pipeline | "tasks" >> beam.Create(left) | "spread" >> beam.Reshuffle()
            _ = todo | "make" >> beam.Map(work)
    except (RuntimeError, OSError) as error:
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise DataError(f"{builder.name}: --beam={command} failed: {said[-1]}") from error


def _work(task: Any, name: str, settings: Settings, parts: str) -> None:
    with _one_at_a_time:
        builder = _builder(name, settings)
        builder.parts = Path(parts)
        builder.make_once(task)


@functools.lru_cache(maxsize=1)
def _builder(name: str, settings: Settings) -> "FaceDatasetBuilder":
    return loading.load_builder(name, data_dir=os.devnull, settings=settings)


def _options(command: str) -> Any:
    from apache_beam.options.pipeline_options import PipelineOptions
    from apache_beam.runners.runner import create_runner

    runner, *more = shlex.split(command)
    try:
        create_runner(runner)
    except (ValueError, ImportError, AttributeError) as error:
        raise UsageError(f"--beam={command}: {error}") from error
    return PipelineOptions([f"--runner={runner}", *more])


def _imported() -> Any:
    try:
        import apache_beam
    except ModuleNotFoundError as error:
        raise UsageError(
            f"--beam needs apache-beam, which is not installed; {INSTALL}, in an environment of "
            "its own"
        ) from error
    return apache_beam
