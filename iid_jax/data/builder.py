"""The base of every data set builder, the only loader of builders, and `prepare`.

A builder says what there is to do (`plan`: tasks per split) and does one task (`make`); this file
spreads the tasks over processes, writes the records through TFDS and leaves a manifest.
"""

import concurrent.futures
import contextlib
import dataclasses
import importlib.util
import io
import os
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import tensorflow_datasets as tfds
from absl import logging

from iid_jax import config_file
from iid_jax.data import people, prepared, schema, workers
from iid_jax.data.catalog import Catalog, open_catalog
from iid_jax.data.prepared import Settings
from iid_jax.errors import DataError, UsageError, nearest
from iid_jax.progress import Progress

_PACKAGE = "_iid_jax_datasets"


class Made(NamedTuple):
    """What one task gave: its records, and (item, status, detail) of everything left out."""

    records: list[schema.Record]
    problems: list[prepared.Problem]


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
    SUMMARY = ""

    def __init__(
        self, *, settings: Settings | None = None, jobs: int = 1, quiet: bool = True, **kw
    ):
        self.settings = settings or Settings()
        self.jobs, self.quiet = jobs, quiet
        self.problems: list[prepared.Problem] = []
        self._closing = contextlib.ExitStack()
        self._pool: concurrent.futures.Executor | None = None
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

    def state(self) -> Any:
        """Returns what `plan` found out and `make` needs, for the processes that make."""

    def adopt(self, state: Any) -> None:
        """Takes over what another process found out in `plan`."""

    def landmarker(self) -> str:
        """Returns the fingerprint of what found the landmarks; data sets of two never mix."""
        raise NotImplementedError

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(features=schema.features())

    def _split_generators(self, dl_manager):
        plan = {split: tasks for split, tasks in self.plan().items() if tasks}
        progress = Progress(sum(map(len, plan.values())), f"prepare {self.name}", quiet=self.quiet)
        return {split: self._generate_examples(tasks, progress) for split, tasks in plan.items()}

    def _generate_examples(self, tasks: list[Any], progress: Progress):
        for records, problems in self._run(tasks):
            self.problems += problems
            for record in records:
                yield f"{record.video_id}#{record.frame}#{record.face}", schema.to_example(record)
            progress.update(1)

    def _run(self, tasks: list[Any]) -> Iterator[Made]:
        if self.jobs <= 1:
            yield from map(self.make, tasks)
            return
        if self._pool is None:
            name = f"{self.name}/{self.builder_config.name}" if self.builder_config else self.name
            start = (_start_worker, name, self.settings, self.state())
            self._pool = self._closing.enter_context(workers.pool(self.jobs, *start))
        chunk = max(1, min(8, len(tasks) // (4 * self.jobs)))
        yield from self._pool.map(_work, tasks, chunksize=chunk)

    def _download_and_prepare(self, *args, **kw) -> None:
        """Writes records, report and manifest into the folder that TFDS renames when all is there.

        So a folder with the version's name is whole, whenever the process is killed.
        """
        with self._closing:
            super()._download_and_prepare(*args, **kw)
        directory = Path(self.data_dir)
        self.info.write_to_directory(self.data_dir)
        prepared.write_report(directory, self.problems)
        catalog = Catalog(f"{self.name}/{self.builder_config.name}", directory)
        manifest = {
            "schema": 1,
            "name": catalog.name,
            "version": str(self.version),
            **self.settings.described(),
            "landmarker": self.landmarker(),
            "fingerprint": catalog.fingerprint,
            "records": catalog.counts(),
            "left_out": prepared.count_statuses(self.problems),
        }
        prepared.write_manifest(directory, manifest)


_worker_builder: FaceDatasetBuilder | None = None


def _start_worker(name: str, settings: Settings, state: Any) -> None:
    global _worker_builder
    # The worker only makes records; where they are written is the parent's business.
    _worker_builder = load_builder(name, data_dir=os.devnull, settings=settings)
    _worker_builder.adopt(state)


def _work(task: Any) -> Made:
    return _worker_builder.make(task)


def builder_names() -> list[str]:
    """Returns the names of the data sets that this installation can prepare."""
    folder = config_file.find_shipped("datasets", "practice_faces").parent
    return sorted(p.parent.name for p in folder.glob("*/*_dataset_builder.py"))


def builder_class(name: str) -> type[FaceDatasetBuilder]:
    """Returns the builder class of the data set `name`, loaded by path once.

    Raises:
      UsageError: there is no such data set.
    """
    module_name = f"{_PACKAGE}.{name}.{name}_dataset_builder"
    if module_name not in sys.modules:
        if name not in builder_names():
            raise UsageError(f"unknown data set {name!r}{nearest(name, builder_names())}")
        folder = config_file.find_shipped("datasets", name).resolve()
        _register_package(_PACKAGE, folder.parent)
        _register_package(f"{_PACKAGE}.{name}", folder)
        path = folder / f"{name}_dataset_builder.py"
        spec = importlib.util.spec_from_file_location(module_name, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[module_name] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[module_name]
            raise
        module.Builder.pkg_dir_path = tfds.core.Path(folder)
    return sys.modules[module_name].Builder


def load_builder(full_name: str, data_dir: str | os.PathLike, **options: Any) -> FaceDatasetBuilder:
    """Returns the builder of `name[/config]`, e.g. `practice_faces/donor_p80_d10`.

    Raises:
      UsageError: no such data set or configuration.
    """
    name, _, config = full_name.partition("/")
    cls = builder_class(name)
    with _without_warnings():
        return cls(
            data_dir=os.fspath(data_dir), config=cls.named_config(config or "default"), **options
        )


def prepare(
    full_name: str,
    data_dir: str | os.PathLike,
    settings: Settings | None = None,
    jobs: int | None = None,
    quiet: bool = False,
) -> Catalog:
    """Builds `name[/config]` under `data_dir` and returns its catalog; what is there is kept.

    Raises:
      UsageError: unknown name, a wrong source, or there already but made with other settings.
      DataError: it cannot be written.
    """
    settings = settings or Settings()
    jobs = jobs or os.cpu_count() or 1
    builder = load_builder(full_name, data_dir, settings=settings, jobs=jobs, quiet=quiet)
    directory = Path(builder.data_dir)
    _check_source(builder, data_dir, needed=not is_prepared(full_name, data_dir))
    if not is_prepared(full_name, data_dir):
        with prepared.alone(directory.parent):
            # Another process may have made it while this one waited.
            if not is_prepared(full_name, data_dir):
                _download_and_prepare(builder)
    prepared.check_same(directory, settings)
    return open_catalog(full_name, data_dir)


def is_prepared(full_name: str, data_dir: str | os.PathLike) -> bool:
    """Returns whether the data set `name[/config]` is there, in this builder's version.

    Raises:
      UsageError: no such data set or configuration.
    """
    return (Path(load_builder(full_name, data_dir).data_dir) / "features.json").exists()


def ensure(full_name: str, data_dir: str | os.PathLike, quiet: bool = False) -> Catalog:
    """Returns the catalog of a data set, making it first where it needs nothing but code.

    Raises:
      DataError: it is not prepared and cannot be made without a source. UsageError: unknown name.
    """
    name, _, config = full_name.partition("/")
    if any((Path(data_dir) / name / (config or "default")).glob("[0-9]*/features.json")):
        return open_catalog(full_name, data_dir)
    if builder_class(name).NEEDS_SOURCE:
        load_builder(full_name, data_dir)  # says what is wrong with the configuration's name
        raise DataError(
            f"no data set {full_name} under --data_dir={data_dir}; make it with "
            + _command(full_name, data_dir)
        )
    return prepare(full_name, data_dir, quiet=quiet)


def _check_source(builder: FaceDatasetBuilder, data_dir: str | os.PathLike, needed: bool) -> None:
    name, source = f"{builder.name}/{builder.builder_config.name}", builder.settings.source
    if source is None:
        if builder.NEEDS_SOURCE and needed:
            raise UsageError(f"{builder.name} is made from a folder: {_command(name, data_dir)}")
    elif not builder.NEEDS_SOURCE:
        raise UsageError(f"{builder.name} is made from nothing; leave out --source={source}")
    elif not Path(source).is_dir():
        raise UsageError(f"--source={source} is not a folder; {_command(name, data_dir)}")


def _command(full_name: str, data_dir: str | os.PathLike) -> str:
    return (
        f"python -m iid_jax.main prepare --dataset={full_name} --source=DIR --data_dir={data_dir}"
    )


@contextlib.contextmanager
def _without_warnings():
    """TFDS warns at every configuration that is not in a fixed list; ours are made from names."""
    before = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        logging.set_verbosity(before)


def _download_and_prepare(builder: FaceDatasetBuilder) -> None:
    tfds.disable_progress_bar()
    try:
        with contextlib.redirect_stdout(io.StringIO()), _without_warnings():
            builder.download_and_prepare()
    except OSError as error:
        raise DataError(f"{builder.name} cannot be prepared: {error}") from error


def _register_package(name: str, folder: Path) -> None:
    if name not in sys.modules:
        package = types.ModuleType(name)
        package.__path__ = [str(folder)]
        package.__file__ = str(folder / "__init__.py")
        sys.modules[name] = package
