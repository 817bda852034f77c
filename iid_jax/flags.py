"""What the verbs' command lines have in common: a parser with nearest names, config overrides."""

import argparse
import os

from iid_jax.errors import UsageError, nearest

CONFIG_PREFIX = "--config."


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, with the nearest flag (exit code 2)."""

    def __init__(self, verb: str, description: str):
        super().__init__(
            prog=f"python -m iid_jax.main {verb}", description=description, allow_abbrev=False
        )

    def error(self, message: str):
        """Raises the one-line error instead of printing the usage."""
        raise UsageError(f"{message}; see {self.prog} --help")

    def parse(self, argv: list[str]) -> argparse.Namespace:
        """Returns the flags; `--config.a.b=value` go to `overrides`, {"a.b": "value"}."""
        overrides, rest = split_overrides(argv)
        flags = [name for action in self._actions for name in action.option_strings]
        # First, or a misspelt --config would be told as a missing one.
        misspelt = [w for w in rest if w.startswith("--") and w.partition("=")[0] not in flags]
        parsed, unknown = (None, misspelt) if misspelt else self.parse_known_args(rest)
        if unknown:
            name = unknown[0].partition("=")[0]
            raise UsageError(f"unknown argument {name!r}{nearest(name, flags)}")
        parsed.overrides = overrides
        return parsed

    def add_data_dir(self) -> None:
        """Adds --data_dir, where prepared data sets lie; IID_DATA_DIR or ./data by default."""
        default = os.environ.get("IID_DATA_DIR", "data")
        self.add_argument("--data_dir", default=default, help="folder of the prepared data sets")

    def add_allow_other_landmarker(self) -> None:
        """Adds --allow_other_landmarker, see `data.mixing`."""
        self.add_argument(
            "--allow_other_landmarker",
            action="store_true",
            help="take data on which another landmarker found the faces than on the training's",
        )

    def add_quiet(self) -> None:
        """Adds --quiet."""
        self.add_argument("--quiet", action="store_true", help="no progress")


def split_overrides(argv: list[str]) -> tuple[dict[str, str], list[str]]:
    """Returns ({"a.b": "value"}, the other arguments) of a command line.

    Raises:
      UsageError: an override without a value.
    """
    overrides, rest, waiting = {}, [], list(argv)
    while waiting:
        word = waiting.pop(0)
        if not word.startswith(CONFIG_PREFIX):
            rest.append(word)
            continue
        key, equals, value = word.removeprefix(CONFIG_PREFIX).partition("=")
        if not equals:
            if not waiting:
                raise UsageError(f"{word} needs a value: {word}=VALUE")
            value = waiting.pop(0)
        overrides[key] = value
    return overrides, rest


def parse_data(text: str) -> list[tuple[str, str]]:
    """Returns (data set `name/config`, split) of each part of `name[/config][:split][,...]`.

    Raises:
      UsageError: a part without a name, or given twice.
    """
    parsed = []
    for item in text.split(","):
        full_name, colon, split = item.partition(":")
        name, slash, config = full_name.partition("/")
        if not name or (slash and not config) or (colon and not split):
            raise UsageError(
                f"--data: {item!r} is not name[/config][:split], as in practice_faces/default:test"
            )
        target = (f"{name}/{config or 'default'}", split or "test")
        if target in parsed:
            raise UsageError(f"--data: {':'.join(target)} is given twice")
        parsed.append(target)
    return parsed
