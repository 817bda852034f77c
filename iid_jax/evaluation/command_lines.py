"""Commands as they are kept in results: to be pasted into a shell, without a machine's folders."""

import os
import shlex
from collections.abc import Iterable
from pathlib import Path

from iid_jax.config import EvalConfig

_FOLDERS = {"workdir", "data_dir", "checkpoint", "out", "from_scores", "against", "source"}


def of(verb: str, arguments: Iterable[str]) -> str:
    """Returns the command of a verb and its arguments, to be pasted into a shell."""
    return shlex.join(["python", "-m", "iid_jax.main", *filter(None, [verb]), *arguments])


def evaluation(run: Path, data: Iterable[tuple[str, str]], data_dir: Path) -> str:
    """Returns the command that scores (data set, split) pairs again with the detector of a run."""
    words = [
        f"--checkpoint={portable(run, 'WORKDIR')}",
        f"--data={','.join(map(':'.join, data))}",
        f"--data_dir={portable(data_dir, 'DATA_DIR')}",
    ]
    return of("evaluate", [*words, "--out=OUT"])


def from_scores(path: Path, bootstrap: int, seed: int) -> str:
    """Returns the command that measures a scores file again, those of probe and validation too."""
    path = Path(path).resolve()
    workdir = portable(path.parent.parent, "WORKDIR")
    data = path.name.removesuffix(".csv").rpartition(".")[0]
    probe = path.with_name(f"{data}.probe.csv")
    beside = [*([probe] if probe.exists() else []), *path.parent.glob("*.val.csv")]
    files = [f"{workdir}/{p.parent.name}/{p.name}" for p in dict.fromkeys((path, *sorted(beside)))]
    words = [f"--from_scores={','.join(files)}", f"--seed={seed}"]
    if bootstrap != EvalConfig().bootstrap:
        words.append(f"--bootstrap={bootstrap}")
    return of("evaluate", [*words, "--out=OUT"])


def shareable(command: str) -> str:
    """Returns the command without this machine's folders.

    Paths below the working directory become relative; a config file keeps its name; any other
    absolute path becomes its flag in capitals: `--data_dir=/x/y` is `--data_dir=DATA_DIR`.
    """
    words, flag = [], ""
    for word in shlex.split(command):
        name, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
        flag = name.lstrip("-") or flag
        words.append(name + equals + _portable(value, flag))
        flag = flag if name and not equals else ""
    return shlex.join(words)


def portable(path: str | os.PathLike, name: str) -> str:
    """Returns a path relative to the working directory, or `name` where it lies elsewhere."""
    return _portable(os.path.abspath(path), name.lower())


def _portable(value: str, flag: str) -> str:
    """Without this machine's folders; of a list of paths, every one."""
    paths = value.split(",")
    if len(paths) > 1 and any(map(os.path.isabs, paths)):
        return ",".join(dict.fromkeys(_portable(path, flag) for path in paths))
    if not os.path.isabs(value):
        return value
    relative = os.path.relpath(value)
    if not relative.startswith(os.pardir):
        return relative
    if flag in _FOLDERS:
        return flag.upper()
    return os.path.basename(value)
