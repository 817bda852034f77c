"""Two runs on the same records: DeLong by brute force, paired intervals, and what is refused."""

import math
import tracemalloc

import numpy as np
import pytest
from sklearn import metrics as sk

from iid_jax.errors import DataError
from iid_jax.evaluation import compare
from iid_jax.evaluation.table import COLUMNS, ScoreTable, sigmoid


def brute_force(label, first, second):
    """DeLong's difference and its deviation by comparing every fake with every genuine record."""

    def kernel(a, b):
        return 1.0 if a > b else 0.5 if a == b else 0.0

    fakes, genuine = np.flatnonzero(label == 1), np.flatnonzero(label == 0)
    m, n = len(fakes), len(genuine)
    won = np.array(
        [[[kernel(s[i], s[j]) for j in genuine] for i in fakes] for s in (first, second)]
    )
    auc = won.mean(axis=(1, 2))
    v10, v01 = won.mean(axis=2), won.mean(axis=1)
    s10 = (v10 - auc[:, None]) @ (v10 - auc[:, None]).T / (m - 1)
    s01 = (v01 - auc[:, None]) @ (v01 - auc[:, None]).T / (n - 1)
    covariance = s10 / m + s01 / n
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    return auc, math.sqrt(variance)


def scores(seed=0, count=60, tied=False):
    rng = np.random.default_rng(seed)
    label = np.r_[0, 0, 1, 1, rng.integers(0, 2, count - 4)]
    shared = rng.normal(size=count)
    pair = [0.8 * label + shared + 0.7 * rng.normal(size=count) for _ in range(2)]
    return (label, *(np.round(s, 0 if tied else 9) for s in pair))


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_delong_is_that_of_comparing_every_pair(seed, tied):
    label, first, second = scores(seed, tied=tied)
    auc, deviation = brute_force(label, first, second)
    found = compare.delong(label, first, second)
    np.testing.assert_allclose((found.first, found.second), auc, atol=1e-12)
    assert found.first == pytest.approx(sk.roc_auc_score(label, first), abs=1e-12)
    assert found.hi - found.difference == pytest.approx(1.959963985 * deviation, rel=1e-8)
    p = math.erfc(abs(auc[1] - auc[0]) / deviation / math.sqrt(2))
    assert found.p == pytest.approx(p, rel=1e-8)


def test_delong_of_two_perfect_or_two_equal_scores_is_no_difference():
    label, first, _ = scores()
    assert compare.delong(label, label, label * 2.0).p == 1.0
    equal = compare.delong(label, first, first)
    assert (equal.difference, equal.p) == (0.0, 1.0)


def test_delong_needs_two_records_of_each_class():
    with pytest.raises(ValueError, match="two records of each class, got 2 and 1"):
        compare.delong(np.array([0, 0, 1]), np.arange(3.0), np.arange(3.0))


def test_delong_rejects_as_often_as_it_says_where_there_is_no_difference():
    found = [compare.delong(*scores(seed, 80)).p < 0.05 for seed in range(300)]
    assert 3 <= sum(found) <= 30


def table(logit, label, frames=1, identity=None, methods=("m",)):
    count = len(logit)
    video = np.arange(count) // frames
    method = np.where(label == 1, np.array(methods)[video % len(methods)], "original")
    names = np.array([f"{m}/{v}" for m, v in zip(method, video, strict=True)])
    return ScoreTable(
        {
            **{name: np.full(count, "") for name in COLUMNS},
            "record": np.array([f"d/c:{n}#{i}#0" for i, n in enumerate(names)]),
            "data": np.full(count, "d/c"),
            "split": np.full(count, "test"),
            "video_id": names,
            "method": method,
            "identity": np.full(count, "") if identity is None else identity,
            "label": label,
            "score": sigmoid(logit),
            "logit": logit,
            "status": np.full(count, "ok"),
        }
    )


def of(rows, metric="video_auc", method="all"):
    (row,) = [r for r in rows if (r.metric, r.method) == (metric, method)]
    return row


def pair(frames=3, videos=40, seed=0):
    rng = np.random.default_rng(seed)
    label = np.repeat(np.arange(videos) % 2, frames)
    shared = np.repeat(rng.normal(size=videos), frames)
    logits = [g * label + shared + 0.3 * rng.normal(size=len(label)) for g in (0.8, 1.4)]
    return label, *logits


def test_differences_are_those_of_the_two_tables():
    label, first, second = pair()
    rows = compare.compare(table(first, label, 3), table(second, label, 3), bootstrap=100)
    means = [sigmoid(s).reshape(-1, 3).mean(1) for s in (first, second)]
    auc = [sk.roc_auc_score(label[::3], m) for m in means]
    row = of(rows)
    np.testing.assert_allclose((row.first, row.second), auc, atol=1e-12)
    assert row.difference == pytest.approx(auc[1] - auc[0], abs=1e-12)
    assert row.p == pytest.approx(compare.delong(label[::3], *means).p, rel=1e-6)
    assert {r.method for r in rows} == {"all", "m"}


def test_paired_interval_is_narrower_than_that_of_unpaired_draws():
    label, first, second = pair()
    rng = np.random.default_rng(0)
    means = [sigmoid(s).reshape(-1, 3).mean(1) for s in (first, second)]
    side = label[::3]
    drawn = [np.concatenate([rng.choice(np.flatnonzero(side == v), 20) for v in (0, 1)])
             for _ in range(300)]  # fmt: skip
    aucs = np.array([[sk.roc_auc_score(side[d], m[d]) for d in drawn] for m in means])
    paired = np.quantile(aucs[1] - aucs[0], [0.025, 0.975])
    unpaired = np.quantile(aucs[1] - aucs[0][::-1], [0.025, 0.975])
    row = of(compare.compare(table(first, label, 3), table(second, label, 3), 2000))
    np.testing.assert_allclose((row.lo, row.hi), paired, atol=0.25 * np.ptp(paired))
    assert row.hi - row.lo < 0.8 * np.ptp(unpaired)


def test_where_few_people_are_shown_the_interval_is_over_people():
    # What tells the second detector from the first is whom it takes for a fake: the ten videos of
    # a person are worth little more than one.
    label, first, _ = pair(videos=120)
    person = np.arange(len(label)) // 3 // 20 * 2 + label
    second = first + np.random.default_rng(1).normal(size=12)[person]
    few = np.array([f"p{p}" for p in person])
    over_videos = of(compare.compare(table(first, label, 3), table(second, label, 3), 500))
    tables = (table(s, label, 3, few) for s in (first, second))
    over_people = of(compare.compare(*tables, 500))
    assert over_people.difference == over_videos.difference
    assert over_people.hi - over_people.lo > 1.5 * (over_videos.hi - over_videos.lo)


def test_draws_are_counted_a_few_at_a_time_with_the_same_outcome(monkeypatch):
    label, first, second = pair()
    tables = table(first, label, 3), table(second, label, 3)
    at_once = compare.compare(*tables, 100)
    monkeypatch.setattr(compare.metrics, "CHUNK", 7 * len(label))
    assert compare.compare(*tables, 100) == at_once


def test_memory_does_not_grow_with_draws_times_frames():
    label, first, second = pair(frames=100, videos=80)
    tables = table(first, label, 100), table(second, label, 100)
    tracemalloc.start()
    compare.compare(*tables, 1000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # One array of all draws of all frames has 64 MB.
    assert peak < 150e6


def test_missing_predictions_are_named():
    label, first, second = pair()
    whole, part = table(first, label, 3), table(second, label, 3)
    lost = part["record"][4]
    with pytest.raises(DataError, match=f"second scores lack 1 of the other's records: {lost}"):
        compare.compare(whole, part.take(part["record"] != lost))
    with pytest.raises(DataError, match="first scores lack 120"):
        compare.compare(whole.take(np.zeros(120, bool)), part)


def test_labels_that_disagree_are_named():
    label, first, second = pair()
    other = table(second, label, 3)
    other.columns["label"] = 1 - label
    with pytest.raises(DataError, match=r"disagree on the label of d/c:"):
        compare.compare(table(first, label, 3), other)


def test_video_of_both_labels_is_named():
    label, first, second = pair()
    tables = [table(s, label, 3) for s in (first, second)]
    for each in tables:
        each.columns["video_id"] = np.where(np.arange(len(label)) < 6, "same", each["video_id"])
    with pytest.raises(DataError, match="video 'same' has frames of both labels"):
        compare.compare(*tables)


def test_one_class_or_one_video_of_each_has_a_reason():
    label, first, second = pair()
    fakes = label == 1
    rows = compare.compare(table(first, label, 3).take(fakes), table(second, label, 3).take(fakes))
    assert of(rows).difference is None and "both classes" in of(rows).reason
    two = np.arange(len(label)) < 6
    rows = compare.compare(table(first, label, 3).take(two), table(second, label, 3).take(two))
    assert of(rows).lo is None and "fewer than 2 videos" in of(rows).reason


def test_records_that_one_of_the_two_could_not_score_are_counted():
    label, first, second = pair()
    whole, part = table(first, label, 3), table(second, label, 3)
    lost = np.flatnonzero(label == 1)[:4]
    part.columns["status"][lost], part.columns["score"][lost] = "?", np.nan
    row = of(compare.compare(whole, part, 20))
    assert row.n_left_out == 4
    kept = np.delete(np.arange(len(label)), lost)
    assert row.first == of(compare.compare(whole.take(kept), part.take(kept), 20)).first


def test_a_rate_that_few_genuine_videos_cannot_resolve_says_so():
    label, first, second = pair()
    rows = compare.compare(table(first, label, 3), table(second, label, 3), 20)
    assert "20 genuine scores do not resolve" in of(rows, "video_tpr_at_1pct_fpr").reason
    assert of(rows).reason == ""
