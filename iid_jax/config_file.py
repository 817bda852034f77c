"""Config files and the command line's overrides, made into a checked `Config`.

A config file is a Python file with `get_config(arg) -> ml_collections.ConfigDict`; it holds only
what differs from the defaults. A misspelt key is a `UsageError` with the nearest name.
"""

import ast
import dataclasses
import importlib.util
import math
import types
import typing
from pathlib import Path
from typing import Any, Literal

import ml_collections

from iid_jax.config import Config
from iid_jax.errors import UsageError, nearest


def default() -> ml_collections.ConfigDict:
    """Returns the defaults as a locked ConfigDict: the starting point of a config file."""
    return ml_collections.ConfigDict(Config().to_dict(), convert_dict=True).lock()


def from_dict(values: dict[str, Any]) -> Config:
    """Returns the Config of nested plain values, checked; keys left out keep their defaults."""
    return _build(Config, values, "config")


def load(spec: str, overrides: dict[str, str] | None = None) -> Config:
    """Returns the Config of `path.py[:key=value,...]`, with overrides `{"train.steps": "50"}`.

    Raises:
      UsageError: no such file, not a config file, an unknown key or an impossible value.
    """
    path, _, argument = spec.partition(":")
    values = _read_file(find_shipped("configs", path), argument).to_dict()
    for dotted, text in (overrides or {}).items():
        _override(values, dotted, text)
    return from_dict(values)


def shipped(name: str, argument: str, **fixed: Any) -> ml_collections.ConfigDict:
    """Returns what the shipped config file `name` makes of an argument and of what is `fixed`.

    Raises:
      UsageError: the argument names what is fixed, or what the file does not know.
    """
    for item in filter(None, (argument or "").split(",")):
        key = item.partition("=")[0]
        if key in fixed:
            raise UsageError(f"config argument {item!r}: it is {fixed[key]} here; use {name}")
    items = [f"{key}={value}" for key, value in fixed.items()]
    return _read_file(find_shipped("configs", name), ",".join(filter(None, [argument, *items])))


def find_shipped(folder: str, name: str) -> Path:
    """Returns the file or folder `name`: as given, or the copy shipped with the package.

    Raises:
      UsageError: neither exists.
    """
    package = Path(__file__).parent
    for root in (Path(), package.parent, package):
        for candidate in (root / name, root / folder / name):
            if candidate.exists():
                return candidate
    shipped = [p.name for root in (package.parent, package) for p in (root / folder).glob("*.py")]
    raise UsageError(f"no such file: {name}{nearest(Path(name).name, shipped)}")


def use_method(config: ml_collections.ConfigDict, method: str) -> None:
    """Sets the arm of a comparison: `iid` (ADM and swaps), `adm`, `mfs` or `binary` (neither).

    Raises:
      UsageError: another name.
    """
    arms = {
        "iid": (True, True),
        "adm": (True, False),
        "mfs": (False, True),
        "binary": (False, False),
    }
    if method not in arms:
        raise UsageError(f"unknown method {method!r}{nearest(method, arms)}")
    config.model.adm, swaps = arms[method]
    if not swaps:
        config.data.swap.update(untouched=1.0, global_=0.0, partial=0.0)


def parse_arguments(argument: str, allowed: dict[str, Any]) -> dict[str, Any]:
    """Returns the `key=value,...` of a config file's argument over the defaults in `allowed`.

    Raises:
      UsageError: an unknown key, or a value of another kind than its default.
    """
    parsed = dict(allowed)
    for item in filter(None, (argument or "").split(",")):
        key, equals, text = item.partition("=")
        if not equals or key not in allowed:
            raise UsageError(f"config argument {item!r}: unknown key{nearest(key, allowed)}")
        kind = type(allowed[key]) if allowed[key] is not None else str
        parsed[key] = _convert(kind, text, f"config argument {key}")
    return parsed


def _read_file(path: Path, argument: str) -> ml_collections.ConfigDict:
    spec = importlib.util.spec_from_file_location(f"iid_jax_config_{path.stem}", path)
    if spec is None:
        raise UsageError(f"{path} is not a Python file; a config file ends in .py")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        return module.get_config(argument)
    except (AttributeError, KeyError, SyntaxError, TypeError, ImportError) as error:
        line = str(error).strip().splitlines()[0].strip("\"'")
        raise UsageError(f"{path}: {line}") from error


def _override(values: dict[str, Any], dotted: str, text: str) -> None:
    *parents, leaf = dotted.split(".")
    kind = Config
    for depth, name in enumerate(parents):
        kind = _field_type(kind, name, ".".join(["config", *parents[:depth]]))
        values = values.setdefault(name, {})
    kind = _field_type(kind, leaf, ".".join(["config", *parents]))
    if dataclasses.is_dataclass(kind):
        keys = ", ".join(f.name for f in dataclasses.fields(kind))
        raise UsageError(f"config.{dotted} is a group, not a value; its keys: {keys}")
    values[leaf] = _parse_text(text)


def _field_type(kind: type, name: str, where: str) -> Any:
    hints = typing.get_type_hints(kind) if dataclasses.is_dataclass(kind) else {}
    if name not in hints:
        raise UsageError(f"unknown config key {where}.{name}{nearest(name, hints)}")
    return hints[name]


def _parse_text(text: str) -> Any:
    text = {"true": "True", "false": "False", "null": "None"}.get(text, text)
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _build(kind: type, values: dict[str, Any], where: str) -> Any:
    fields = {}
    for name, value in values.items():
        hint = _field_type(kind, name, where)
        fields[name] = _convert(hint, value, f"{where}.{name}")
    return kind(**fields)


def _convert(kind: Any, value: Any, where: str) -> Any:
    """Returns `value` as the annotated type `kind`, or raises a UsageError that names `where`."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        if not isinstance(value, dict):
            raise UsageError(f"{where} must be a group of keys, got {value!r}")
        return _build(kind, value, where)
    if origin is types.UnionType:
        return None if value is None else _convert(arguments[0], value, where)
    if origin is Literal:
        if value not in arguments:
            raise UsageError(f"{where}: unknown value {value!r}{nearest(str(value), arguments)}")
        return value
    if origin is tuple:
        return _convert_tuple(arguments, value, where)
    return _convert_scalar(kind, value, where)


def _convert_tuple(kinds: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if isinstance(value, str):
        value = value.split(",") if value else []
    elif isinstance(value, (int, float)):
        value = [value]
    if not isinstance(value, (list, tuple)):
        raise UsageError(f"{where} must be a list, got {value!r}")
    if kinds[-1] is Ellipsis:
        kinds = (kinds[0],) * len(value)
    if len(kinds) != len(value):
        raise UsageError(f"{where} must have {len(kinds)} values, got {value!r}")
    return tuple(_convert(k, v, where) for k, v in zip(kinds, value, strict=True))


def _convert_scalar(kind: type, value: Any, where: str) -> Any:
    if isinstance(value, str) and kind is not str:
        value = _parse_text(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise UsageError(f"{where} must be of type {kind.__name__}, got {value!r}")
    if kind is float and not math.isfinite(value):
        raise UsageError(f"{where} must be finite, got {value!r}")
    return value
