"""The only loader of data set builders: by path, each once, under a private package name.

TFDS reads a builder's README and citations as package data, so the package must be known to
Python before the builder is loaded.
"""

import contextlib
import importlib.util
import os
import sys
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tensorflow_datasets as tfds
from absl import logging

from iid_jax import config_file
from iid_jax.errors import UsageError, nearest

if TYPE_CHECKING:
    from iid_jax.data.base import FaceDatasetBuilder

_PACKAGE = "_iid_jax_datasets"


def builder_names() -> list[str]:
    """Returns the names of the data sets that this installation can prepare."""
    folder = config_file.find_shipped("datasets", "practice_faces").parent
    return sorted(p.parent.name for p in folder.glob("*/*_dataset_builder.py"))


def builder_class(name: str) -> "type[FaceDatasetBuilder]":
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


def load_builder(
    full_name: str, data_dir: str | os.PathLike, **options: Any
) -> "FaceDatasetBuilder":
    """Returns the builder of `name[/config]`, e.g. `practice_faces/donor_p80_d10`.

    Raises:
      UsageError: no such data set or configuration.
    """
    name, _, config = full_name.partition("/")
    cls = builder_class(name)
    with without_warnings():
        return cls(
            data_dir=os.fspath(data_dir), config=cls.named_config(config or "default"), **options
        )


@contextlib.contextmanager
def without_warnings():
    """TFDS warns at every configuration that is not in a fixed list; ours are made from names."""
    before = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        logging.set_verbosity(before)


def _register_package(name: str, folder: Path) -> None:
    if name not in sys.modules:
        package = types.ModuleType(name)
        package.__path__ = [str(folder)]
        package.__file__ = str(folder / "__init__.py")
        sys.modules[name] = package
