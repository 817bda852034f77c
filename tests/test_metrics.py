"""Metrics against scikit-learn, hand-made tables, plain loops and known statistics."""

import hypothesis
import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import strategies as st
from sklearn import metrics as sk

from iid_jax import metrics
from iid_jax.errors import UsageError
from iid_jax.measures import QUANTILES


def table(seed=0, videos=60, frames=5, shift=1.0):
    rng = np.random.default_rng(seed)
    label = np.repeat(np.arange(videos) % 2, frames)
    score = rng.normal(shift * label + np.repeat(rng.normal(size=videos), frames), 1.0)
    return np.repeat([f"v{i}" for i in range(videos)], frames), label, score


def labelled_scores(seed, tied):
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, 60)
    label[:2] = 0, 1
    return label, rng.integers(0, 7, 60) / 6 if tied else rng.random(60)


SEEDS = pytest.mark.parametrize("seed", range(8))
TIES = pytest.mark.parametrize("tied", [False, True])


@SEEDS
@TIES
def test_auc_ap_and_accuracy_are_scikit_learns(seed, tied):
    label, score = labelled_scores(seed, tied)
    assert metrics.auc(label, score) == pytest.approx(sk.roc_auc_score(label, score), abs=1e-12)
    expected = sk.average_precision_score(label, score)
    assert metrics.average_precision(label, score) == pytest.approx(expected, abs=1e-12)
    expected = sk.accuracy_score(label, score >= 0.5)
    assert metrics.accuracy(label, score) == pytest.approx(expected, abs=1e-12)


@SEEDS
@TIES
def test_eer_is_where_scikit_learns_roc_curve_crosses_the_diagonal(seed, tied):
    label, score = labelled_scores(seed, tied)
    false, true, _ = sk.roc_curve(label, score)
    # Along the curve the two error rates trade places once: a fine walk finds the crossing.
    walk = np.linspace(0, len(false) - 1, 400_001)
    steps = np.arange(len(false))
    false, missed = np.interp(walk, steps, false), 1 - np.interp(walk, steps, true)
    crossing = np.argmin(np.abs(false - missed))
    assert metrics.eer(label, score) == pytest.approx(false[crossing], abs=1e-4)


def test_eer_of_perfect_and_inverted_scores():
    label = np.array([0, 0, 1, 1])
    assert metrics.eer(label, np.array([0.1, 0.2, 0.8, 0.9])) == 0.0
    assert metrics.eer(label, np.array([0.9, 0.8, 0.2, 0.1])) == 1.0


@pytest.mark.parametrize("measure", [metrics.auc, metrics.average_precision, metrics.eer])
def test_a_measure_of_one_class_or_of_nan_is_refused(measure):
    with pytest.raises(ValueError, match="all 2 scored records are fake"):
        measure(np.array([1, 1]), np.array([0.1, 0.2]))
    with pytest.raises(ValueError, match="NaN"):
        measure(np.array([0, 1]), np.array([0.1, np.nan]))
    with pytest.raises(ValueError, match="0 or 1, got 2"):
        measure(np.array([0, 2]), np.array([0.1, 0.2]))


def test_video_scores_are_means_over_frames_of_one_id():
    names, label, score = metrics.video_table(
        np.array(["b", "a", "b"]), np.array([1, 0, 1]), np.array([0.2, 0.5, 0.6])
    )
    assert names.tolist() == ["a", "b"]
    assert label.tolist() == [0, 1]
    np.testing.assert_allclose(score, [0.5, 0.4])


def test_videos_of_one_name_in_two_data_sets_are_two():
    video, label = np.array(["v", "v", "v"]), np.array([1, 0, 1])
    score, data = np.array([0.2, 0.5, 0.6]), np.array(["y", "x", "y"])
    names, labels, means = metrics.video_table(video, label, score, data)
    assert names.tolist() == ["x:v", "y:v"]
    assert labels.tolist() == [0, 1]
    np.testing.assert_allclose(means, [0.5, 0.4])
    found = metrics.evaluate_scores(video, label, score, bootstrap=0, data=data)
    assert (found["video_auc"].value, found["video_auc"].n_videos) == (0.0, 2)
    assert found["frame_auc"].value == 0.5


def test_the_metrics_are_those_of_frames_and_of_video_means():
    video, label, score = table(seed=5, videos=41, frames=4)
    found = metrics.evaluate_scores(video, label, score, bootstrap=0)
    assert list(found) == list(metrics.METRICS) and len(found) == 12
    means = np.array([score[video == f"v{i}"].mean() for i in range(41)])
    for level, labels, scores in (("frame", label, score), ("video", np.arange(41) % 2, means)):
        value = {name: found[f"{level}_{name}"].value for name in metrics.MEASURES}
        assert value["auc"] == pytest.approx(sk.roc_auc_score(labels, scores), abs=1e-12)
        assert value["ap"] == pytest.approx(sk.average_precision_score(labels, scores), abs=1e-12)
        assert value["acc"] == pytest.approx(np.mean((scores >= 0.5) == labels), abs=1e-12)
        assert value["eer"] == pytest.approx(metrics.eer(labels, scores), abs=1e-12)
        false, true, _ = sk.roc_curve(labels, scores, drop_intermediate=False)
        assert value["tpr_at_1pct_fpr"] == pytest.approx(true[false <= 0.01].max(), abs=1e-12)
        assert value["tpr_at_0.1pct_fpr"] == pytest.approx(true[false <= 0.001].max(), abs=1e-12)


@pytest.mark.parametrize("data", [None, np.array(["d", "d"])])
def test_a_video_with_both_labels_is_refused_by_name(data):
    mixed = np.array(["x", "x"]), np.array([0, 1]), np.array([0.1, np.nan])
    with pytest.raises(ValueError, match=r"video '(d:)?x' has frames of both labels"):
        metrics.video_table(*mixed, data)
    with pytest.raises(ValueError, match=r"video '(d:)?x' has frames of both labels"):
        metrics.evaluate_scores(*mixed, data=data)


def test_columns_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="equally long"):
        metrics.evaluate_scores(np.array(["a", "b"]), np.array([0, 1]), np.array([0.5]))


def test_an_unknown_metric_is_refused_with_the_nearest_name():
    with pytest.raises(UsageError, match="did you mean 'video_auc'"):
        metrics.evaluate_scores(*table(), ("vidoe_auc",))


@pytest.mark.parametrize(
    ("label", "score", "reason"),
    [
        ([1, 1], [0.1, 0.2], "one class only: all 2 scored records are fake"),
        ([0, 0], [0.1, 0.2], "one class only: all 2 scored records are genuine"),
        ([0, 1], [0.1, np.nan], "one class only: all 1 scored records are genuine"),
        ([0, 1], [np.nan, np.inf], "none of 2 records has a score"),
        ([], [], "no records"),
    ],
)
def test_what_is_undefined_has_a_reason_and_no_value(label, score, reason):
    video = np.arange(len(label)).astype(str)
    found = metrics.evaluate_scores(video, np.array(label, int), np.array(score), bootstrap=5)
    assert set(found) == set(metrics.METRICS)
    for metric in found.values():
        assert (metric.value, metric.lo, metric.hi, metric.reason) == (None, None, None, reason)


def test_frames_without_a_score_are_left_out():
    video, label, score = table()
    holes = score.copy()
    holes[::7] = np.nan
    holes[:5] = np.inf
    known = np.isfinite(holes)
    expected = sk.roc_auc_score(label[known], holes[known])
    found = metrics.evaluate_scores(video, label, holes, bootstrap=5)["frame_auc"]
    assert found.value == pytest.approx(expected, abs=1e-12)
    assert found.n_videos == 59


def test_intervals_are_those_of_a_plain_bootstrap_over_videos():
    video, label, score = table(seed=2, videos=40, frames=3)
    rows = np.arange(120).reshape(40, 3)
    rng = np.random.default_rng(0)
    spread = {"frame_auc": [], "frame_ap": [], "frame_eer": [], "video_auc": []}
    for _ in range(500):
        drawn = np.concatenate([rng.choice(np.arange(side, 40, 2), 20) for side in (0, 1)])
        labels, scores = label[rows[drawn]], score[rows[drawn]]
        spread["frame_auc"].append(sk.roc_auc_score(labels.ravel(), scores.ravel()))
        spread["frame_ap"].append(sk.average_precision_score(labels.ravel(), scores.ravel()))
        spread["frame_eer"].append(metrics.eer(labels.ravel(), scores.ravel()))
        spread["video_auc"].append(sk.roc_auc_score(labels[:, 0], scores.mean(1)))
    found = metrics.evaluate_scores(video, label, score, tuple(spread), bootstrap=2000)
    for name, draws in spread.items():
        interval = found[name].lo, found[name].hi
        width = interval[1] - interval[0]
        np.testing.assert_allclose(interval, np.quantile(draws, QUANTILES), atol=width / 5)


def test_interval_by_videos_covers_the_truth_about_as_often_as_it_says():
    truth = metrics.evaluate_scores(*table(99, videos=4000), ("video_auc",), bootstrap=0)
    truth = truth["video_auc"].value
    inside = 0
    for seed in range(100):
        found = metrics.evaluate_scores(*table(seed), ("video_auc",), bootstrap=200)["video_auc"]
        inside += found.lo <= truth <= found.hi
    assert 87 <= inside <= 100


def test_frame_interval_counts_frames_of_a_video_as_one_draw():
    video, label, score = table(videos=60, frames=5)
    by_video = metrics.evaluate_scores(video, label, score, ("frame_auc",))["frame_auc"]
    alone = np.array([f"f{i}" for i in range(len(video))])
    by_frame = metrics.evaluate_scores(alone, label, score, ("frame_auc",))["frame_auc"]
    assert by_video.hi - by_video.lo > 1.3 * (by_frame.hi - by_frame.lo)


def test_same_seed_gives_the_same_interval_and_another_seed_another():
    first, again, other = (
        metrics.evaluate_scores(*table(), ("video_auc",), bootstrap=50, seed=seed)
        for seed in (3, 3, 4)
    )
    assert first == again
    assert first["video_auc"].value == other["video_auc"].value
    assert first["video_auc"].lo != other["video_auc"].lo


def test_the_order_of_the_rows_changes_nothing():
    columns = table(videos=20)
    shuffled = np.random.default_rng(0).permutation(100)
    first = metrics.evaluate_scores(*columns, bootstrap=50)
    again = metrics.evaluate_scores(*(column[shuffled] for column in columns), bootstrap=50)
    for name, metric in first.items():
        expected = pytest.approx((metric.value, metric.lo, metric.hi), abs=1e-9)
        assert (again[name].value, again[name].lo, again[name].hi) == expected


def test_a_large_table_is_counted_in_parts_and_measured_as_a_small_one(monkeypatch):
    whole = metrics.evaluate_scores(*table(videos=20), bootstrap=300)
    monkeypatch.setattr(metrics, "CHUNK", 250)
    parts = metrics.evaluate_scores(*table(videos=20), bootstrap=300)
    for name, metric in whole.items():
        assert parts[name].value == metric.value
        # Other draws of the same kind.
        tolerance = 0.35 * (metric.hi - metric.lo)
        assert abs(parts[name].lo - metric.lo) < tolerance
        assert abs(parts[name].hi - metric.hi) < tolerance


def test_without_a_bootstrap_or_with_one_video_on_a_side_there_is_no_interval():
    none = metrics.evaluate_scores(*table(), ("video_auc",), bootstrap=0)["video_auc"]
    assert (none.lo, none.hi, none.reason) == (None, None, "")
    video, label = np.array(["a", "b", "c", "c"]), np.array([0, 1, 1, 1])
    found = metrics.evaluate_scores(video, label, np.array([0.2, 0.1, 0.5, 0.9]))["video_auc"]
    assert (found.value, found.lo, found.hi, found.n_videos) == (0.5, None, None, 3)
    assert "fewer than 2 videos" in found.reason


@hypothesis.given(
    hnp.arrays(int, 12, elements=st.integers(0, 1)),
    hnp.arrays(float, 12, elements=st.floats() | st.sampled_from([0.0, 0.5, 1.0, np.nan])),
    hnp.arrays(int, 12, elements=st.integers(0, 3)),
)
@hypothesis.settings(max_examples=100, deadline=None)
def test_any_table_gives_numbers_between_0_and_1_or_a_reason(label, score, number):
    video = np.char.add(np.where(label == 1, "f", "g"), number.astype(str))
    # Sums of frames must not overflow: scores are probabilities or logits.
    score = np.where(np.abs(score) > 1e300, np.nan, score)
    for metric in metrics.evaluate_scores(video, label, score, bootstrap=8).values():
        if metric.value is None:
            assert metric.reason and metric.lo is None and metric.hi is None
        else:
            assert 0 <= metric.value <= 1
            assert metric.lo is None or 0 <= metric.lo <= metric.hi <= 1


def people(pictures=4, count=80):
    return np.repeat([f"p{i}" for i in range(count)], pictures), np.repeat(np.arange(count) % 2, 4)


def test_separation_is_half_without_a_leak_and_one_with_a_total_one():
    rng = np.random.default_rng(0)
    identity, group = people()
    noise = metrics.separation(identity, group, rng.normal(size=320))
    assert noise.lo < 0.5 < noise.hi
    assert noise.n_videos == 80
    total = metrics.separation(identity, group, group + 0.1 * rng.normal(size=320))
    assert total.value == 1.0


def test_separation_draws_people_and_not_pictures():
    rng = np.random.default_rng(1)
    identity, group = people()
    score = np.repeat(rng.normal(size=80), 4) + 0.1 * rng.normal(size=320)
    by_people = metrics.separation(identity, group, score)
    by_pictures = metrics.separation(np.arange(320).astype(str), group, score)
    assert by_people.value == by_pictures.value
    assert by_people.value == pytest.approx(sk.roc_auc_score(group, score), abs=1e-12)
    assert by_people.hi - by_people.lo > 1.6 * (by_pictures.hi - by_pictures.lo)


@pytest.mark.parametrize(
    ("identity", "group", "score", "reason"),
    [
        (["a", "b"], [1, 1], [0.1, 0.2], "one group only"),
        (["a", "b"], [1, 0], [0.1, np.nan], "one group only"),
        (["a", "a", "b"], [1, 0, 0], [0.1, 0.2, 0.3], "'a' is in both groups"),
        ([], [], [], "no records"),
    ],
)
def test_a_separation_that_cannot_be_measured_has_a_reason(identity, group, score, reason):
    found = metrics.separation(np.array(identity, str), np.array(group, int), np.array(score))
    assert found.value is None and reason in found.reason
