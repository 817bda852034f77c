"""The roles of people: disjoint where they must be, the same test people whatever the gap."""

import numpy as np
import pytest

from iid_jax.data import people
from iid_jax.errors import UsageError

NAMES = [f"p{i}" for i in range(200)]


def deal(gap, count=None, donors=None):
    return people.cast(NAMES, gap, count, donors, np.random.default_rng(0))


@pytest.mark.parametrize("gap", people.GAPS)
def test_nobody_is_in_two_splits(gap):
    cast = deal(gap)
    groups = [set(cast.training), set(cast.val), set(cast.test)]
    assert sum(map(len, groups)) == len(set.union(*groups))
    assert len(cast.test) >= 0.25 * len(NAMES)


def test_without_a_gap_donors_and_targets_are_genuine_too():
    cast = deal("none")
    assert set(cast.donors) == set(cast.targets) == set(cast.genuine)
    assert not cast.partners


def test_gap_donor_keeps_donors_out_of_the_genuine():
    cast = deal("donor", 80, 10)
    assert (len(cast.genuine), len(cast.donors)) == (80, 10)
    assert not set(cast.donors) & set(cast.genuine)
    assert set(cast.targets) == set(cast.genuine)


def test_gap_target_keeps_targets_out_of_the_genuine_as_well():
    cast = deal("target", 40, 10)
    assert not set(cast.targets) & set(cast.genuine)
    assert not set(cast.donors) & (set(cast.genuine) | set(cast.targets))
    assert set(cast.partners) == set(cast.targets)


def test_the_test_people_do_not_depend_on_the_gap():
    assert deal("none").test == deal("donor", 80, 10).test == deal("target").test


@pytest.mark.parametrize(
    "arguments", [("none", None, None), ("donor", 80, 10), ("target", None, 5), ("none", 30, None)]
)
def test_configuration_name_gives_back_what_made_it(arguments):
    assert people.parse_config_name(people.config_name(*arguments)) == arguments


def test_more_people_than_there_are_is_refused_with_the_number():
    with pytest.raises(UsageError, match="train_people=5000: must be 2 to"):
        deal("donor", 5000)


def test_unknown_configuration_is_refused_with_what_is_allowed():
    with pytest.raises(UsageError, match="donor_p80_d10"):
        people.parse_config_name("doner_p80")
