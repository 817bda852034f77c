"""Pictures to look at are chosen by a rule and a seed, and are what the detector saw."""

import collections

import numpy as np
import pytest

from iid_jax.data import schema
from iid_jax.errors import DataError
from iid_jax.evaluation import examples

METHODS = ("blur", "smear")


def people(catalog, fakes):
    """Target and donor of each fake, one after the other."""
    return np.concatenate([catalog.columns[c][fakes] for c in ("identity", "source_identity")])


def test_each_fake_stands_beside_the_genuine_frame_that_it_was_made_from(catalog):
    pairs = examples.choose_pairs(catalog, "test", 8, seed=0)
    columns = catalog.columns
    genuine, fakes = pairs.T
    assert (columns["label"][genuine] == schema.REAL).all()
    assert (columns["label"][fakes] == schema.FAKE).all()
    assert (columns["split"][pairs] == "test").all()
    np.testing.assert_array_equal(columns["video_id"][genuine], columns["pristine_id"][fakes])
    np.testing.assert_array_equal(columns["frame"][genuine], columns["frame"][fakes])


@pytest.mark.parametrize(("count", "expected"), [(8, (4, 4)), (7, (4, 3)), (1, (1, 0))])
def test_manipulations_are_shown_equally_often_one_after_the_other(catalog, count, expected):
    fakes = examples.choose_pairs(catalog, "test", count, seed=0)[:, 1]
    shown = catalog.columns["method"][fakes].tolist()
    assert shown == [METHODS[0]] * expected[0] + [METHODS[1]] * expected[1]


@pytest.mark.parametrize("seed", range(8))
def test_nobody_is_shown_twice_while_there_are_others(practice, seed):
    fakes = examples.choose_pairs(practice, "test", 2, seed)[:, 1]
    assert max(collections.Counter(people(practice, fakes)).values()) == 1
    many = examples.choose_pairs(practice, "test", 5, seed)[:, 1]
    assert len(set(practice.columns["identity"][many])) == 5


def test_each_person_is_the_target_of_one_before_anybody_is_of_two(make_catalog):
    alone = make_catalog(lambda record: record.frame == 0 and record.method != "smear")
    fakes = examples.choose_pairs(alone, "test", 12, seed=3)[:, 1]
    assert len(set(fakes.tolist())) == 12 and len(set(alone.columns["identity"][fakes])) == 12


def test_the_seed_decides(catalog):
    first, again, other = (examples.choose_pairs(catalog, "test", 8, s) for s in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert first.tolist() != other.tolist()


def test_more_pairs_than_there_are_gives_each_of_them_once(catalog):
    fakes = examples.choose_pairs(catalog, "test", 1000, seed=0)[:, 1]
    expected = catalog.select("test", label=schema.FAKE)
    np.testing.assert_array_equal(np.sort(fakes), expected)


def test_fakes_without_their_genuine_frames_are_refused(make_catalog):
    only_fakes = make_catalog(lambda record: record.label == schema.FAKE)
    with pytest.raises(DataError, match="noise/default: no fake of split 'test' has its genuine"):
        examples.choose_pairs(only_fakes, "test", 4, seed=0)
