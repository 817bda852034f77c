"""The registry of backbones: a new one is one new file in this folder that calls `register`."""

import dataclasses
import importlib
import pkgutil
from typing import Any

from iid_jax.errors import UsageError, nearest

PACKAGE = __name__.rpartition(".")[0]


@dataclasses.dataclass(frozen=True)
class Entry:
    """A backbone by name: `module(**settings)` builds it.

    `parameters` is its published parameter count without the classifier, `canvas` the side in
    pixels of the input it was published with, `source` the paper or the reason it is here.
    """

    module: type
    settings: dict[str, Any]
    parameters: int
    canvas: int
    source: str


_ENTRIES: dict[str, Entry] = {}


def register(
    name: str, module: type, *, parameters: int, canvas: int, source: str, **settings: Any
) -> None:
    """Makes `create(name)` build `module(**settings)`, a Linen module.

    The module's `__call__(images, train)` returns (feature map (B, f, f, C), dict of named
    features); it has the fields `dtype`, `bn_momentum` and `bn_epsilon`, and the attributes
    `stride` (input side / f) and `feature_width` (C). One with a `dropout` has it applied to what
    the classifier sees.

    Raises:
      ValueError: the name is taken.
    """
    if name in _ENTRIES:
        raise ValueError(f"backbone {name!r} is registered twice")
    _ENTRIES[name] = Entry(module, settings, parameters, canvas, source)


def names() -> list[str]:
    """Returns the names of all backbones, sorted."""
    _import_all()
    return sorted(_ENTRIES)


def entry(name: str) -> Entry:
    """Returns the registry's entry of a backbone.

    Raises:
      UsageError: no such backbone; the nearest name is given.
    """
    _import_all()
    if name not in _ENTRIES:
        raise UsageError(f"unknown backbone {name!r}{nearest(name, _ENTRIES)}")
    return _ENTRIES[name]


def create(name: str, /, **options: Any) -> Any:
    """Returns the backbone `name` as a Linen module; `options` are its fields (`dtype`, ...).

    Raises:
      UsageError: no such backbone or option; the nearest name is given.
    """
    found = entry(name)
    fields = {f.name for f in dataclasses.fields(found.module)} - {"parent"}
    for option in options:
        if option not in fields:
            raise UsageError(f"backbone {name}: unknown option {option!r}{nearest(option, fields)}")
    return found.module(**{**found.settings, **options})


def _import_all() -> None:
    """Imports every module of this folder, so that the backbones in them are registered."""
    package = importlib.import_module(PACKAGE)
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{PACKAGE}.{module.name}")
