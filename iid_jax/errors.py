"""The errors that end a command with one clear line, and the nearest-name hint in them."""

import difflib
import errno
from collections.abc import Iterable


class UserError(Exception):
    """An error to be shown to the user as one line; `exit_code` is what the command ends with."""

    exit_code = 2


class UsageError(UserError):
    """Wrong usage or configuration (exit code 2)."""


class DataError(UserError):
    """A data set, record, checkpoint or workdir that cannot be used (exit code 4)."""

    exit_code = 4


# The disk's or the machine's faults. Other OSErrors may be faults of the program and stay as loud.
_MACHINE = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM),
    *(errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM),
)


def machine_fault(error: OSError) -> DataError | None:
    """Returns the line for a full, read-only or failing disk; None for any other OSError."""
    if error.errno not in _MACHINE:
        return None
    where = f"{error.filename}: " if error.filename is not None else ""
    return DataError(f"{where}{error.strerror}; mend that and run the same command again")


def nearest(name: str, allowed: Iterable[str]) -> str:
    """Returns ` (did you mean X?)` for the closest allowed name, or the list of what is allowed."""
    allowed = sorted(allowed)
    close = difflib.get_close_matches(name, allowed, n=1, cutoff=0.5)
    if close:
        return f" (did you mean {close[0]!r}?)"
    return f" (allowed: {', '.join(allowed)})"


def first_line(error: Exception) -> str:
    """Returns the first line of what an error says, 200 characters at most; its type if nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
