"""Seals: the sha256 of every file of a finished folder, which tell bit rot and cut-off saves."""

import hashlib
import json
from pathlib import Path
from typing import Any

from iid_jax.errors import DataError

SEAL = "sha256.json"


def sealed_steps(folder: Path) -> list[int]:
    """Returns the numbers of the complete step folders under `folder`."""
    return [int(p.parent.name) for p in folder.glob(f"*/{SEAL}") if p.parent.name.isdigit()]


def seal(folder: Path) -> None:
    """Writes down the sha256 of every file of a finished step folder."""
    temporary = folder / f"{SEAL}.tmp"
    temporary.write_text(json.dumps(_digests(folder), indent=1), encoding="utf-8")
    temporary.replace(folder / SEAL)


def check_seal(folder: Path) -> None:
    """Checks every file of a step folder against its seal.

    Raises:
      DataError: a file is missing, new or changed; the file is named.
    """
    expected = read_json(folder / SEAL)
    found = _digests(folder)
    for name in sorted(set(expected) | set(found)):
        if expected.get(name) != found.get(name):
            raise DataError(
                f"{folder / name} differs from what was saved; delete the folder {folder} to go "
                "on from the checkpoint before it"
            )


def digest(path: Path) -> str:
    """Returns the sha256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_json(path: Path) -> dict[str, Any]:
    """Returns the JSON object of a checkpoint's file.

    Raises:
      DataError: it cannot be read, or holds something else.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} cannot be read ({error}); use another checkpoint") from error
    if not isinstance(values, dict):
        raise DataError(f"{path} must be a JSON object; use another checkpoint")
    return values


def _digests(folder: Path) -> dict[str, str]:
    digests = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            raise DataError(f"{path} is a link; a checkpoint holds files only")
        if path.is_file() and name not in (SEAL, f"{SEAL}.tmp"):
            digests[name] = digest(path)
    return digests
