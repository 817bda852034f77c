"""Calibration against plain loops and scikit-learn's logistic regression."""

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression

from iid_jax.evaluation import calibration
from iid_jax.evaluation.table import COLUMNS, ScoreTable, sigmoid


def table(logit, label, per_video=1, data="d/c"):
    number = np.arange(len(logit)) // per_video
    texts = {name: np.full(len(logit), "") for name in COLUMNS}
    method = np.where(label == 1, "m", "original")
    video = np.array([f"{m}/{n}" for m, n in zip(method, number, strict=True)])
    known = np.isfinite(logit)
    return ScoreTable(
        {
            **texts,
            "record": np.array([f"{data}:{v}#{i}#0" for i, v in enumerate(video)]),
            "video_id": video,
            "method": method,
            "label": label,
            "score": np.where(known, sigmoid(logit), np.nan),
            "logit": logit,
            "status": np.where(known, "ok", "unreadable"),
        }
    )


def overconfident(seed=0, count=4000, temperature=2.5):
    """Labels drawn with sigmoid(logit / temperature), so that the truth is known."""
    rng = np.random.default_rng(seed)
    logit = 3.0 * rng.normal(size=count)
    return (rng.random(count) < sigmoid(logit / temperature)).astype(int), logit


def test_calibration_error_is_that_of_a_plain_loop_over_bins():
    label, logit = overconfident()
    score = sigmoid(logit)
    expected = 0.0
    for low in np.arange(15) / 15:
        inside = (score >= low) & (score < low + 1 / 15 + 1e-12)
        if inside.any():
            expected += inside.mean() * abs(score[inside].mean() - label[inside].mean())
    assert calibration.ece(label, score) == pytest.approx(expected, abs=1e-6)


def test_reliability_curve_is_scikit_learns():
    label, logit = overconfident(1)
    share, mean = calibration_curve(label, sigmoid(logit), n_bins=15)
    found = calibration.reliability(label, sigmoid(logit))
    np.testing.assert_allclose(found.share[found.count > 0], share, atol=1e-12)
    np.testing.assert_allclose(found.score[found.count > 0], mean, atol=1e-12)


def test_temperature_is_that_of_scikit_learns_regression_and_near_the_truth():
    label, logit = overconfident(2)
    fit = LogisticRegression(C=1e9, fit_intercept=False, tol=1e-10).fit(logit[:, None], label)
    found = calibration.fit_temperature(label, logit)
    assert found.value == pytest.approx(1 / fit.coef_[0, 0], rel=1e-4)
    assert found.value == pytest.approx(2.5, rel=0.1)


def test_temperature_of_validation_mends_the_calibration_of_test():
    label, logit = overconfident(3)
    other, more = overconfident(4)
    found = calibration.calibration(table(logit, label, 4), table(more, other, 1, "d/v"), 50, 0)
    assert found["frame_ece"].value > 0.1
    assert found["frame_ece_calibrated"].value < 0.03
    assert found["frame_ece"].lo < found["frame_ece"].value < found["frame_ece"].hi


@pytest.mark.parametrize(
    ("label", "logit", "reason"),
    [
        ([1, 1], [0.3, 2.0], "one class only"),
        ([0, 1], [np.nan, 2.0], "one class only"),
        ([0, 1], [-2.0, 2.0], "no best temperature"),
        ([0, 1], [2.0, -2.0], "no best temperature"),
    ],
)
def test_temperature_that_cannot_be_fitted_has_a_reason(label, logit, reason):
    found = calibration.fit_temperature(np.array(label), np.array(logit))
    assert found.value is None and reason in found.reason


def test_without_validation_scores_the_reason_is_told_and_the_plain_error_stays():
    label, logit = overconfident(count=40)
    found = calibration.calibration(table(logit, label), None, 0, 0, "the val file is missing")
    assert found["temperature"].reason == "the val file is missing"
    assert found["frame_ece_calibrated"].value is None
    assert found["frame_ece"].value == pytest.approx(calibration.ece(label, sigmoid(logit)))


def test_temperature_is_not_judged_on_records_that_it_was_fitted_on():
    label, logit = overconfident(count=400)
    own, apart = table(logit, label), table(*overconfident(1, 400)[::-1], data="d/v")
    found = calibration.calibration(own, own.take(np.arange(40)), 0, 0)
    assert found["temperature"].value is not None and found["frame_ece"].value is not None
    assert found["frame_ece_calibrated"].value is None
    assert "these very records" in found["frame_ece_calibrated"].reason
    assert calibration.calibration(own, apart, 0, 0)["frame_ece_calibrated"].value is not None


def test_a_table_without_a_score_has_no_calibration():
    label, logit = np.array([0, 1]), np.array([np.nan, np.nan])
    found = calibration.calibration(table(logit, label), None, 5, 0)
    assert found["frame_ece"].value is None and found["frame_ece"].reason


def test_interval_holds_the_value_where_the_calibration_is_perfect():
    for seed in range(20):
        label, logit = overconfident(seed, 200, temperature=1.0)
        found = calibration.calibration(table(logit, label), None, 200, 0)["frame_ece"]
        assert 0.0 <= found.lo <= found.value <= found.hi


def test_interval_is_over_people_where_these_are_few():
    label, logit = overconfident(count=400, temperature=1.0)
    logit += np.where(np.arange(400) < 200, 4.0, 0.0)
    rows = table(logit, label)
    alone = calibration.calibration(rows, None, 300, 0)["frame_ece"]
    rows.columns["identity"] = np.where(np.arange(400) < 200, "a", "b")
    of_two = calibration.calibration(rows, None, 300, 0)["frame_ece"]
    assert of_two.value == alone.value
    assert of_two.hi - of_two.lo > 2 * (alone.hi - alone.lo)


def test_a_score_without_its_logit_is_not_calibrated_and_the_reason_is_told():
    label, logit = overconfident(count=400)
    rows, validation = table(logit, label), table(*overconfident(1, 400)[::-1], data="d/v")
    rows.columns["logit"][3] = np.nan
    found = calibration.calibration(rows, validation, 0, 0)
    assert found["frame_ece"].value is not None
    assert "no logit" in found["frame_ece_calibrated"].reason
