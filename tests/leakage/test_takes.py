"""No clip is both fitted and tested, everybody is known, and the same seed divides the same way."""

import numpy as np
import pytest

from iid_jax.errors import DataError
from iid_jax.leakage import takes


@pytest.fixture
def people(make_people):
    """Eight people with three clips of two frames; one has a single clip."""
    clips = {f"p{k}": 3 for k in range(8)} | {"p8": 1}
    return make_people(clips, frames=2)


def clips_of(catalog, rows):
    return set(catalog.columns["video_id"][rows].tolist())


def test_no_clip_is_on_two_sides(people):
    parts = takes.divide(people, "test", seed=0)
    fit, choose, test = (clips_of(people, rows) for rows in (parts.fit, parts.choose, parts.test))
    assert not fit & choose and not fit & test and not choose & test
    assert parts.apart == "other clips or photographs"
    assert len(fit | choose | test) == 8 * 3 + 1


def test_everybody_is_fitted_and_nobody_both_chooses_and_is_tested(people):
    parts = takes.divide(people, "test", seed=0)
    identity = people.columns["identity"]
    assert parts.people.tolist() == sorted(f"p{k}" for k in range(9))
    choosing, tested = (set(identity[rows].tolist()) for rows in (parts.choose, parts.test))
    assert len(choosing) == 2 and len(tested) == 6 and not choosing & tested


def test_one_clip_each_is_cut_in_time_with_a_gap(make_people):
    catalog = make_people({f"p{k}": 1 for k in range(5)}, frames=10)
    parts = takes.divide(catalog, "test", seed=0)
    frames = catalog.columns["frame"]
    assert set(frames[parts.fit].tolist()) == set(range(6))
    assert set(frames[np.r_[parts.choose, parts.test]].tolist()) == {7, 8, 9}
    assert parts.apart == "another part of the same clip or set of photographs"


def test_the_probe_split_is_what_training_people_are_tested_on(make_people):
    clips = {f"p{k}": 3 for k in range(5)}
    catalog = make_people(clips, frames=2, splits=("probe", "train", "train"))
    parts = takes.divide(catalog, "train", seed=0)
    split = catalog.columns["split"]
    assert set(split[parts.fit].tolist()) == {"train"}
    assert set(split[np.r_[parts.choose, parts.test]].tolist()) == {"probe"}


def test_fakes_and_unknown_people_are_no_part_of_it(people, make_people):
    catalog = make_people({**{f"p{k}": 2 for k in range(4)}, "": 2}, frames=1, fakes=True)
    parts = takes.divide(catalog, "test", seed=0)
    rows = np.concatenate([parts.fit, parts.choose, parts.test])
    assert (catalog.columns["label"][rows] == 0).all()
    assert "" not in catalog.columns["identity"][rows]


def test_the_seed_decides(people):
    same, again, other = (takes.divide(people, "test", seed=s) for s in (1, 1, 2))
    assert all((a == b).all() for a, b in zip(same[:4], again[:4], strict=True))
    assert clips_of(people, same.fit) != clips_of(people, other.fit)


def test_three_people_are_too_few(make_people):
    catalog = make_people({f"p{k}": 1 for k in range(3)}, frames=10)
    with pytest.raises(DataError, match=r"4 people.*found 3"):
        takes.divide(catalog, "test", seed=0)
