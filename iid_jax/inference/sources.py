"""Which files a command line means: pictures and videos, folders of them, patterns."""

import glob
import os
from collections.abc import Iterator
from pathlib import Path

from iid_jax.faces import media, video
from iid_jax.inference.prediction import Prediction

SUFFIXES = (*media.SUFFIXES, *video.SUFFIXES)
NOT_FOUND, NOTHING = "not_found", "no_media"


def find(words: list[str]) -> list[str | Prediction]:
    """Returns the files that paths, folders and patterns mean, each once, in a stable order.

    A folder stands for all pictures and videos below it by their names' endings, hidden ones left
    out. What means no file comes as a Prediction with the status not_found or no_media.
    """
    found: dict[str, str | Prediction] = {}
    for word in words:
        for source in _means(word):
            path = source if isinstance(source, str) else source.path
            found.setdefault(os.path.abspath(path), source)
    return list(found.values())


def is_video(path: str) -> bool:
    """Returns whether a file is a video by its name's ending."""
    return Path(path).suffix.lower() in video.SUFFIXES


def _means(word: str) -> Iterator[str | Prediction]:
    if os.path.isdir(word):
        yield from _below(word)
    elif os.path.lexists(word) or not glob.has_magic(word):
        yield word
    else:
        matches = sorted(glob.iglob(word, recursive=True))
        if not matches:
            yield Prediction(word, NOT_FOUND, f"no file matches {word}")
        for match in matches:
            yield from _below(match) if os.path.isdir(match) else (match,)


def _below(folder: str) -> Iterator[str | Prediction]:
    files = [
        os.path.join(where, name)
        for where, folders, names in os.walk(folder)
        if _keep_visible(folders)
        for name in names
        if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES
    ]
    if not files:
        allowed = " ".join(SUFFIXES)
        yield Prediction(folder, NOTHING, f"no picture or video in {folder}; allowed: {allowed}")
    yield from sorted(files)


def _keep_visible(folders: list[str]) -> bool:
    """Keeps a walk out of hidden folders; always true."""
    folders[:] = [name for name in folders if not name.startswith(".")]
    return True
