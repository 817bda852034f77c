"""Which photographs of a folder are used: so many of a person, no copies, divided into clips."""

import collections
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from iid_jax.data.photographs import Photograph
from iid_jax.data.prepared import Problem


class Picture(NamedTuple):
    """A picture file of a person; `number` is its place among the person's files by name."""

    person: str
    number: int
    path: Path

    @property
    def item(self) -> str:
        """The name reports call it by."""
        return f"{self.person}/{self.path.name}"


def choose(
    found: dict[str, list[Path]], most: int, rng_of: Callable[[str], np.random.Generator]
) -> tuple[list[Picture], list[Problem]]:
    """Returns at most `most` pictures of every person, drawn at random, and the others' notes."""
    chosen: list[Picture] = []
    notes: list[Problem] = []
    for person, paths in found.items():
        pictures = [Picture(person, number, path) for number, path in enumerate(paths)]
        drawn = set(rng_of(person).permutation(len(paths))[:most].tolist())
        chosen += [p for p in pictures if p.number in drawn]
        detail = f"{most} others of {len(paths)} were drawn"
        notes += [(p.item, "surplus", detail) for p in pictures if p.number not in drawn]
    return chosen, notes


def without_copies(
    examined: Sequence[tuple[Picture, Photograph]],
) -> tuple[dict[str, dict[int, Photograph]], list[Problem]]:
    """Returns {person: {number: photograph}} without files that are there twice, and the copies.

    Of a person's equal files the first stays. A file under two names is nobody's: whose face it
    shows is not known, and it could be in two splits.
    """
    same = collections.defaultdict(list)
    for picture, photograph in examined:
        same[photograph.sha256].append(picture)
    kept: dict[str, dict[int, Photograph]] = {}
    problems: list[Problem] = []
    for picture, photograph in examined:
        copies = same[photograph.sha256]
        others = [p.item for p in copies if p.person != picture.person]
        if others:
            problems.append((picture.item, "duplicate_of_other", f"same file as {others[0]}"))
        elif copies[0] != picture:
            problems.append((picture.item, "duplicate", f"same file as {copies[0].item}"))
        else:
            kept.setdefault(picture.person, {})[picture.number] = photograph
    return kept, problems


def divide(
    photographs: dict[int, Photograph], share: float, rng: np.random.Generator
) -> tuple[dict[int, Photograph], dict[int, Photograph]]:
    """Returns a person's photographs in two parts, the second with about `share` of them.

    Each part has at least one where there are two or more; a single one is in the first.
    """
    count = len(photographs)
    held_back = min(max(round(share * count), 1), count - 1)
    drawn = set(rng.permutation(list(photographs))[:held_back].tolist())
    parts = tuple(
        {n: p for n, p in photographs.items() if (n in drawn) == second} for second in (False, True)
    )
    return parts[0], parts[1]
