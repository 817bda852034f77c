"""The detector as a project of google-research/scenic: see README.md here.

Importing it needs Scenic, which is not on PyPI: the `scenic` there is a scenario language.
"""

import importlib.util
from pathlib import Path

from iid_jax.errors import UsageError

INSTALL = "git clone https://github.com/google-research/scenic && pip install ./scenic"
# Folders that tell the two packages apart; neither is imported to find out.
OURS, THEIRS = "dataset_lib", "syntax"


class ScenicMissing(UsageError, ImportError):
    """google-research/scenic cannot be imported."""


def check_installed() -> None:
    """Checks that `import scenic` would find google-research/scenic.

    Raises:
      ScenicMissing: nothing is found, or another package of that name.
    """
    found = importlib.util.find_spec("scenic")
    if found is None:
        raise ScenicMissing(
            f"google-research/scenic is not installed; it is not on PyPI, get it by: {INSTALL}"
        )
    folders = [Path(folder) for folder in found.submodule_search_locations or ()]
    if any((folder / OURS).is_dir() for folder in folders):
        return
    pypi = any((folder / THEIRS).is_dir() for folder in folders)
    kind = "the scenario language of PyPI" if pypi else "another package"
    where = folders[0] if folders else found.origin
    raise ScenicMissing(
        f"the `scenic` at {where} is {kind}, not google-research/scenic; in an environment of its "
        f"own: pip uninstall scenic && {INSTALL}"
    )


check_installed()
