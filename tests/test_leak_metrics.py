"""The leak of a score, worked out by hand."""

import numpy as np
import pytest

from iid_jax.leak_metrics import Faces, Roles, donors_above, leak_aucs, leak_difference

KNOWN = Roles(frozenset({"d0", "d1"}), frozenset({"g0"}))


def faces(**scores):
    pairs = [(person, score) for person, values in scores.items() for score in values]
    names, values = zip(*pairs, strict=True)
    return Faces(np.array(names), np.array(values))


NEW = faces(**{f"n{i}": [i / 10] for i in range(10)})  # 0.0 to 0.9: nine tenths are at 0.81


def test_leak_counts_donors_above_new_people_and_familiarity_new_people_above_genuine_ones():
    met = faces(d0=[0.95], d1=[0.35], g0=[0.25])
    found = leak_aucs(KNOWN, met, NEW, bootstrap=0, seed=0)
    assert found["leak_auc"].value == pytest.approx((10 + 4) / 20)
    assert found["familiarity_auc"].value == pytest.approx(7 / 10)


def test_donors_above_is_the_share_over_the_score_that_nine_tenths_of_new_people_pass():
    met = faces(d0=[0.95, 0.82], d1=[0.80, 0.1], g0=[1.0])
    found = donors_above(KNOWN, met, NEW, bootstrap=200, seed=0)
    assert found.value == 0.5 and found.n_videos == 2
    assert found.lo < 0.5 < found.hi


def test_score_that_ignores_who_it_sees_leaves_a_tenth_of_the_donors_above():
    rng = np.random.default_rng(0)
    people = [f"d{i}" for i in range(300)]
    met = Faces(np.repeat(people, 4), rng.random(1200))
    new = Faces(np.repeat([f"n{i}" for i in range(300)], 4), rng.random(1200))
    known = Roles(frozenset(people), frozenset())
    found = donors_above(known, met, new, bootstrap=200, seed=0)
    assert found.lo < 0.1 < found.hi and found.hi - found.lo < 0.08


def test_without_donors_or_scores_there_is_a_reason_and_no_number():
    met = faces(g0=[0.5])
    assert donors_above(KNOWN, met, NEW, 10, 0).reason == "no scored genuine pictures of donors"
    met = faces(d0=[np.nan])
    assert donors_above(KNOWN, met, NEW, 10, 0).value is None


def test_one_donor_has_a_value_and_no_interval():
    found = donors_above(KNOWN, faces(d0=[0.95]), NEW, 10, 0)
    assert found.value == 1.0 and found.lo is None and "fewer than 2" in found.reason


def scored(rng, lift):
    """Pictures of 20 donors and 40 new people, of whom each looks fake to every detector alike."""
    names = [f"d{i}" for i in range(20)], [f"n{i}" for i in range(40)]
    person = [np.random.default_rng(1 + side).normal(size=len(n)) for side, n in enumerate(names)]
    sides = [
        Faces(np.repeat(n, 3), np.repeat(p, 3) + 0.1 * rng.normal(size=3 * len(n)))
        for n, p in zip(names, person, strict=True)
    ]
    return sides[0]._replace(score=sides[0].score + lift), sides[1]


DONORS = Roles(frozenset(f"d{i}" for i in range(20)), frozenset())


def test_a_paired_difference_is_that_of_the_mean_leaks_and_sees_what_intervals_hide():
    rng = np.random.default_rng(0)
    first, second = ([scored(rng, lift) for _ in range(3)] for lift in (1.0, 0.7))
    found = leak_difference(DONORS, first, second, bootstrap=300, seed=0)
    each = [
        [leak_aucs(DONORS, *run, 300, 0)["leak_auc"] for run in runs] for runs in (first, second)
    ]
    means = [np.mean([metric.value for metric in metrics]) for metrics in each]
    assert found.value == pytest.approx(means[1] - means[0], abs=1e-12)
    assert found.lo < found.value < found.hi < 0.0
    assert each[1][0].hi > each[0][0].value


def test_detectors_that_say_the_same_do_not_differ():
    runs = [scored(np.random.default_rng(seed), 1.0) for seed in range(2)]
    found = leak_difference(DONORS, runs, runs, bootstrap=50, seed=0)
    assert (found.value, found.lo, found.hi) == (0.0, 0.0, 0.0)


def test_a_paired_difference_wants_the_same_pictures_each_with_a_score():
    run = scored(np.random.default_rng(0), 1.0)
    other = run[0], Faces(run[1].identity[::-1], run[1].score)
    with pytest.raises(ValueError, match="same pictures"):
        leak_difference(DONORS, [run], [other], 10, 0)
    run[1].score[0] = np.nan
    with pytest.raises(ValueError, match="every picture"):
        leak_difference(DONORS, [run], [run], 10, 0)
