"""The identity probe: scikit-learn's numbers; planted identities are found, absent ones not."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from iid_jax.leakage import probe
from iid_jax.leakage.probe import Pictures


def blobs(people, each, width, apart, seed=0):
    """Features of people who lie `apart` standard deviations from each other."""
    rng = np.random.default_rng([seed, people])
    centres = apart * rng.normal(size=(people, width))
    person = np.repeat(np.arange(people), each)
    draws = [centres[person] + rng.normal(size=(len(person), width)) for _ in range(3)]
    return [Pictures(values.astype(np.float32), person) for values in draws]


@pytest.mark.parametrize("l2", [0.1, 0.01])
def test_the_probe_is_scikit_learn_s_logistic_regression(l2):
    fitted, tested, _ = blobs(5, 30, 8, 0.7)
    found = probe.fit(fitted, 5, l2, steps=300, tolerance=1e-6)
    judge = LogisticRegression(C=1 / (l2 * len(fitted.person)), tol=1e-10, max_iter=5000)
    judge.fit(fitted.features.astype(np.float64), fitted.person)
    expected = judge.predict_log_proba(tested.features.astype(np.float64))
    np.testing.assert_allclose(found.weights, judge.coef_.T, atol=1e-3)
    np.testing.assert_allclose(found.log_probabilities(tested.features), expected, atol=3e-3)
    loss, accuracy = probe.evaluate(found, tested)
    right = expected[np.arange(len(tested.person)), tested.person]
    assert loss == pytest.approx(-right.mean(), abs=1e-3)
    assert accuracy == pytest.approx((expected.argmax(1) == tested.person).mean(), abs=0.01)


def test_features_that_hold_the_identity_are_read_and_shuffled_people_are_not():
    fitted, choosing, tested = blobs(20, 12, 16, 2.0)
    l2 = probe.choose(fitted, choosing, 20)
    rank, _ = probe.ranks(probe.fit(fitted, 20, l2), tested)
    assert (rank < 1).mean() > 0.98
    rng = np.random.default_rng(1)
    shuffled = fitted._replace(person=rng.permutation(fitted.person))
    wrong = choosing._replace(person=rng.permutation(choosing.person))
    l2 = probe.choose(shuffled, wrong, 20)
    rank, _ = probe.ranks(probe.fit(shuffled, 20, l2), tested)
    error = np.sqrt(0.05 * 0.95 / len(rank))
    # People keep together in these features, so 20 people count, not 240 pictures.
    assert abs((rank < 1).mean() - 0.05) < 3 * error * np.sqrt(12)
    assert l2 == max(probe.PENALTIES)


def test_the_penalty_is_the_one_with_the_lowest_loss_on_the_choosing_pictures():
    fitted, choosing, _ = blobs(5, 30, 8, 0.5)
    penalties = (1.0, 0.1, 0.01, 0.001)
    chosen = probe.choose(fitted, choosing, 5, penalties)
    losses = {p: probe.evaluate(probe.fit(fitted, 5, p), choosing)[0] for p in penalties}
    assert chosen == min(losses, key=losses.get)


def test_chunks_change_nothing(monkeypatch):
    fitted, tested, _ = blobs(5, 30, 8, 0.8)
    whole = probe.fit(fitted, 5, 0.01, steps=20)
    monkeypatch.setattr(probe, "CHUNK", 5 * 64)
    parts = probe.fit(fitted, 5, 0.01, steps=20)
    np.testing.assert_allclose(whole.weights, parts.weights, atol=2e-4)
    loss = probe.evaluate(parts, tested)[0]
    assert loss == pytest.approx(probe.evaluate(whole, tested)[0], abs=1e-4)
    assert probe.ranks(parts, tested)[1].mean() == pytest.approx(loss, rel=1e-4)


def test_the_curve_starts_at_chance_and_ends_at_the_probe():
    fitted, tested, _ = blobs(5, 30, 8, 1.0)
    found = probe.fit(fitted, 5, 0.01, tested=tested)
    assert found.curve[0]["loss"] == pytest.approx(np.log(5))
    loss, accuracy = probe.evaluate(found, tested)
    assert found.curve[-1]["test_loss"] == pytest.approx(loss, abs=1e-3)
    assert found.curve[-1]["test_accuracy"] == pytest.approx(accuracy, abs=0.03)


def test_equal_chances_count_by_half():
    blind = probe.Probe(np.zeros((3, 5), np.float32), np.zeros(5, np.float32), 1.0, [])
    rank, loss = probe.ranks(blind, Pictures(np.ones((4, 3), np.float32), np.array([0, 1, 2, 4])))
    assert (rank == 2).all() and loss == pytest.approx(np.full(4, np.log(5)))


def test_a_constant_feature_is_left_as_it_is():
    values = np.stack([np.ones(10), np.arange(10.0)], 1)
    scaled = probe.scale_of(values)(values)
    assert (scaled[:, 0] == 0).all() and scaled[:, 1].std() == pytest.approx(1.0)


@pytest.mark.long
def test_ten_thousand_identities_fit_into_memory():
    fitted, _, tested = blobs(10_000, 2, 64, 3.0)
    found = probe.fit(fitted, 10_000, 1e-5, steps=25)
    rank, _ = probe.ranks(found, tested)
    assert (rank < 1).mean() > 0.9
