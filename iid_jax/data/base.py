"""The base of every data set builder: what it says, and how its tasks become record files.

A builder says what there is to do (`plan`: tasks per split) and does one task (`make`); this file
spreads the tasks over processes, writes the records through TFDS and leaves a manifest.
"""

import contextlib
import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import tensorflow_datasets as tfds

from iid_jax.data import cluster, examples, loading, parts, people, prepared, schema, workers
from iid_jax.data.catalog import Catalog
from iid_jax.data.prepared import Settings
from iid_jax.errors import DataError
from iid_jax.progress import Progress


class Made(NamedTuple):
    """What one task gave: its records, and (item, status, detail) of everything left out.

    `digest` tells the files it was made from, where copies of them are to be found.
    """

    records: list[schema.Record]
    problems: list[prepared.Problem]
    digest: str = ""


@dataclasses.dataclass(eq=False, kw_only=True)
class PeopleConfig(tfds.core.BuilderConfig):
    """The configuration of a made data set: who appears where (see `people.py`)."""

    identity_gap: str = "none"
    train_people: int | None = None
    train_donors: int | None = None


def people_config(name: str) -> PeopleConfig:
    """Returns the configuration of a name such as `donor_p80_d10`."""
    gap, count, donors = people.parse_config_name(name)
    return PeopleConfig(name=name, identity_gap=gap, train_people=count, train_donors=donors)


class FaceDatasetBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """A TFDS builder of face records. Subclasses give VERSION, plan, make and what they need."""

    NEEDS_SOURCE = True
    # What a task is.
    UNIT = "clip"
    SUMMARY = ""
    # Which of the optional settings mean something here.
    OPTIONS: tuple[str, ...] = ()
    # The number of videos by configuration, split and method, as published: of the splits joined
    # by "+" (or "all") and of a method (or all "fakes") together. Several numbers where it depends
    # on which of the releases were downloaded.
    PUBLISHED: ClassVar[dict[str, dict[tuple[str, str], int | tuple[int, ...]]]] = {}
    # Why people are in two splits, where that cannot be helped.
    SHARED_PEOPLE = ""

    def __init__(
        self,
        *,
        settings: Settings | None = None,
        jobs: int = 1,
        quiet: bool = True,
        beam: str = "",
        **kw,
    ):
        self.settings = settings or Settings()
        # Where finished tasks wait for the others, so that a killed preparation can go on.
        self.parts: Path | None = None
        self.jobs, self.quiet, self.beam = jobs, quiet, beam
        self.problems: list[prepared.Problem] = []
        self._closing = contextlib.ExitStack()
        self._workers: workers.Workers | None = None
        super().__init__(file_format="array_record", **kw)

    @staticmethod
    def named_config(name: str) -> tfds.core.BuilderConfig | None:
        """Returns the configuration called `name`; builders with fixed ones override nothing."""
        return people_config(name)

    def plan(self) -> dict[str, list[Any]]:
        """Returns the tasks of every split; a task is small and can be pickled."""
        raise NotImplementedError

    def make(self, task: Any) -> Made:
        """Returns the records of one task; the same whatever was made before."""
        raise NotImplementedError

    def died(self, task: Any) -> Made:
        """Returns what stands for a task that killed its process, or refuses to go on without it.

        Raises:
          DataError: the task cannot be left out.
        """
        raise DataError(f"{self.name}: {task!r:.200}: {workers.DIED}; run the command again")

    def part(self, task: Any) -> str:
        """Returns a name that tells the task and all it is made from; empty: never kept."""
        return ""

    def take(self, made: Made) -> list[schema.Record]:
        """Returns the records of a finished task that are written; keeps note of the problems."""
        self.problems += made.problems
        return made.records

    def finish(self) -> None:
        """Called when all tasks are taken and before anything counts; raises to refuse."""

    def described(self) -> dict[str, Any]:
        """Returns what the manifest holds of the settings, and what must be the same again."""
        return self.settings.described()

    def state(self) -> Any:
        """Returns what `plan` found out and `make` needs, for the processes that make."""

    def adopt(self, state: Any) -> None:
        """Takes over what another process found out in `plan`."""

    def landmarker(self) -> str:
        """Returns the fingerprint of what found the landmarks; data sets of two never mix."""
        raise NotImplementedError

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(features=examples.features())

    def _split_generators(self, dl_manager):
        plan = {split: tasks for split, tasks in self.plan().items() if tasks}
        if self.beam:
            cluster.do(self, [task for tasks in plan.values() for task in tasks], self.beam)
        total = sum(map(len, plan.values()))
        progress = Progress(total, f"prepare {self.name}", self.UNIT, self.quiet)
        return {
            split: self._generate_examples(split, tasks, progress) for split, tasks in plan.items()
        }

    def _generate_examples(self, split: str, tasks: list[Any], progress: Progress):
        count = 0
        for made in self._run(tasks):
            records = self.take(made)
            count += len(records)
            for record in records:
                yield f"{record.video_id}#{record.frame}#{record.face}", examples.to_example(record)
            progress.update(1)
        if not count:
            self.finish()
            raise DataError(f"{self.name}: nothing of the split {split} can be used")

    def make_once(self, task: Any) -> Made:
        """Returns the records of one task, made now or by a preparation that was killed."""
        name = self.part(task) if self.parts is not None else ""
        if not name:
            return self.make(task)
        stored = parts.recall(self.parts / name)
        if stored is None:
            stored = tuple(self.make(task))
            parts.keep(self.parts / name, *stored)
        return Made(*stored)

    def _run(self, tasks: list[Any]) -> Iterator[Made]:
        if self.jobs <= 1:
            yield from map(self.make_once, tasks)
            return
        if self._workers is None:
            name = f"{self.name}/{self.builder_config.name}" if self.builder_config else self.name
            start = (_start_worker, name, self.settings, self.state(), self.parts)
            self._workers = self._closing.enter_context(workers.Workers(self.jobs, *start))
        yield from self._workers.map(_work, tasks, self.died)

    def _download_and_prepare(self, *args, **kw) -> None:
        """Writes records, report and manifest into the folder that TFDS renames when all is there.

        So a folder with the version's name is whole, whenever the process is killed.
        """
        with self._closing:
            super()._download_and_prepare(*args, **kw)
            self.finish()
        directory = Path(self.data_dir)
        self.info.write_to_directory(self.data_dir)
        prepared.write_report(directory, self.problems)
        catalog = Catalog(f"{self.name}/{self.builder_config.name}", directory)
        manifest = {
            "schema": 1,
            "name": catalog.name,
            "version": str(self.version),
            **self.described(),
            "landmarker": self.landmarker(),
            "fingerprint": catalog.fingerprint,
            "records": catalog.counts(),
            "quality": prepared.count_flags(catalog.columns["quality"].tolist()),
            "left_out": prepared.count_statuses(self.problems),
        }
        prepared.write_manifest(directory, manifest)


_worker_builder: FaceDatasetBuilder | None = None


def _start_worker(name: str, settings: Settings, state: Any, folder: Path | None) -> None:
    global _worker_builder
    # The worker only makes records; where they are written is the parent's business.
    _worker_builder = loading.load_builder(name, data_dir=os.devnull, settings=settings)
    _worker_builder.parts = folder
    _worker_builder.adopt(state)


def _work(task: Any) -> Made:
    return _worker_builder.make_once(task)
