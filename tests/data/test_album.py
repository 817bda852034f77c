"""Which photographs are used: so many of a person, no copies, divided without overlap."""

from pathlib import Path

import numpy as np
import pytest

from iid_jax.data import album
from iid_jax.data.photographs import Photograph


def photograph(sha256: str) -> Photograph:
    points = np.zeros((68, 2), np.float32)
    return Photograph("", sha256, (0, 0, 9, 9), 1.0, points, np.zeros(3), 1, 1.0, "")


def picture(person: str, number: int) -> album.Picture:
    return album.Picture(person, number, Path(person, f"{number}.jpg"))


def rng(*_) -> np.random.Generator:
    return np.random.default_rng(0)


def test_of_many_pictures_some_are_drawn_and_the_others_noted():
    found = {"A": [Path("A", f"{i}.jpg") for i in range(30)], "B": [Path("B", "0.jpg")]}
    chosen, notes = album.choose(found, 20, rng)
    assert [p.person for p in chosen].count("A") == 20
    assert chosen == sorted(chosen)
    left_out = {item for item, status, _ in notes if status == "surplus"}
    assert len(notes) == 10
    assert left_out | {p.item for p in chosen} == {f"A/{i}.jpg" for i in range(30)} | {"B/0.jpg"}
    assert {p.number for p in chosen if p.person == "A"} != set(range(20))


def test_of_a_persons_equal_files_the_first_stays():
    shas = ["x", "y", "x", "x"]
    examined = [(picture("A", i), photograph(sha)) for i, sha in enumerate(shas)]
    people, problems = album.without_copies(examined)
    assert {name: list(kept) for name, kept in people.items()} == {"A": [0, 1]}
    assert problems == [
        ("A/2.jpg", "duplicate", "same file as A/0.jpg"),
        ("A/3.jpg", "duplicate", "same file as A/0.jpg"),
    ]


def test_a_file_under_two_people_is_nobodys():
    examined = [
        (picture("A", 0), photograph("x")),
        (picture("A", 1), photograph("y")),
        (picture("B", 0), photograph("x")),
    ]
    people, problems = album.without_copies(examined)
    assert {name: list(kept) for name, kept in people.items()} == {"A": [1]}
    assert [(item, status) for item, status, _ in problems] == [
        ("A/0.jpg", "duplicate_of_other"),
        ("B/0.jpg", "duplicate_of_other"),
    ]


@pytest.mark.parametrize(("count", "held_back"), [(1, 0), (2, 1), (4, 1), (8, 2), (20, 5)])
def test_a_part_is_held_back_and_nothing_lost(count, held_back):
    everything = {3 * i: photograph(str(i)) for i in range(count)}
    first, second = album.divide(everything, 0.25, rng())
    assert len(second) == held_back
    assert not set(first) & set(second)
    assert {**first, **second} == everything
    assert list(first) == sorted(first)
