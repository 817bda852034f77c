"""`prepare`: makes a data set from its builder, or finds it made; see `base.py` for builders."""

import contextlib
import io
import os
import shutil
from pathlib import Path

import tensorflow_datasets as tfds

from iid_jax.data import prepared
from iid_jax.data.base import FaceDatasetBuilder, Made
from iid_jax.data.catalog import Catalog, open_catalog
from iid_jax.data.loading import builder_class, builder_names, load_builder, without_warnings
from iid_jax.data.prepared import Settings
from iid_jax.errors import DataError, UsageError

__all__ = [
    "FaceDatasetBuilder",
    "Made",
    "Settings",
    "builder_class",
    "builder_names",
    "ensure",
    "is_prepared",
    "load_builder",
    "prepare",
]

PARTS = ".parts"


def prepare(
    full_name: str,
    data_dir: str | os.PathLike,
    settings: Settings | None = None,
    jobs: int | None = None,
    quiet: bool = False,
    beam: str = "",
) -> Catalog:
    """Builds `name[/config]` under `data_dir` and returns its catalog; what is there is kept.

    `jobs` are processes; `beam` is a Beam runner with its options, see `cluster.py`.

    Raises:
      UsageError: unknown name, a wrong source, or there already but made with other settings.
      DataError: it cannot be written.
    """
    settings = settings or Settings()
    jobs = jobs or os.cpu_count() or 1
    builder = load_builder(
        full_name, data_dir, settings=settings, jobs=jobs, quiet=quiet, beam=beam
    )
    directory = Path(builder.data_dir)
    _check_source(builder, data_dir, needed=not is_prepared(full_name, data_dir))
    if not is_prepared(full_name, data_dir):
        with prepared.alone(directory.parent):
            # Another process may have made it while this one waited.
            if not is_prepared(full_name, data_dir):
                builder.parts = directory.parent / PARTS
                _download_and_prepare(builder)
                shutil.rmtree(builder.parts, ignore_errors=True)
    prepared.check_same(directory, settings, builder.described)
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
    if source is None and builder.NEEDS_SOURCE and needed:
        raise UsageError(f"{builder.name} is made from a folder: {_command(name, data_dir)}")
    for option in ("frames", "landmarker", "max_bad"):
        value = getattr(builder.settings, option)
        if option not in builder.OPTIONS and value != getattr(Settings(), option):
            raise UsageError(f"{builder.name} is not made of videos; leave out --{option}={value}")
    if source is not None and not builder.NEEDS_SOURCE:
        raise UsageError(f"{builder.name} is made from nothing; leave out --source={source}")
    if source is not None and not Path(source).is_dir():
        raise UsageError(f"--source={source} is not a folder; {_command(name, data_dir)}")


def _command(full_name: str, data_dir: str | os.PathLike) -> str:
    return (
        f"python -m iid_jax.main prepare --dataset={full_name} --source=DIR --data_dir={data_dir}"
    )


def _download_and_prepare(builder: FaceDatasetBuilder) -> None:
    tfds.disable_progress_bar()
    try:
        with contextlib.redirect_stdout(io.StringIO()), without_warnings():
            builder.download_and_prepare()
    except OSError as error:
        raise DataError(f"{builder.name} cannot be prepared: {error}") from error
