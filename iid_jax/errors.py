"""The errors that end a command with one clear line, and the nearest-name hint in them."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """An error to be shown to the user as one line; `exit_code` is what the command ends with."""

    exit_code = 2


class UsageError(UserError):
    """Wrong usage or configuration (exit code 2)."""


class DataError(UserError):
    """A data set, record, checkpoint or workdir that cannot be used (exit code 4)."""

    exit_code = 4


def nearest(name: str, allowed: Iterable[str]) -> str:
    """Returns ` (did you mean X?)` for the closest allowed name, or the list of what is allowed."""
    allowed = sorted(allowed)
    close = difflib.get_close_matches(name, allowed, n=1, cutoff=0.5)
    if close:
        return f" (did you mean {close[0]!r}?)"
    return f" (allowed: {', '.join(allowed)})"
