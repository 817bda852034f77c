"""Pointing and box precision: perfect, blind and mixed answers, against a plain count."""

import numpy as np
import pytest

from iid_jax.leakage import pointing
from iid_jax.leakage.pointing import box_average_precision, cases, map_scores

NOTHING = np.full(4, np.nan)


def test_a_map_inside_the_mask_points_there():
    truth = np.zeros((8, 8))
    truth[2:4, 2:4] = 1
    inside, outside = np.zeros((8, 8)), np.zeros((8, 8))
    inside[2, 3], outside[7, 7] = 1, 1
    assert map_scores(inside, truth) == (1.0, 1.0)
    assert map_scores(outside, truth) == (0.0, 0.0)
    assert map_scores(inside * 3 + outside, truth) == (1.0, 0.75)


def test_a_map_of_one_height_gets_the_share_of_the_mask_and_an_empty_one_nothing():
    truth = np.zeros((8, 8))
    truth[:2] = 1
    assert map_scores(np.ones((8, 8)), truth) == (0.25, 0.25)
    assert map_scores(np.zeros((8, 8)), truth) == (0.0, 0.0)


def by_counting(truth, boxes, scores, threshold):
    """Average precision by a loop over thresholds, boxes of one score together."""

    def overlap(a, b):
        low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
        both = np.prod(np.maximum(high - low, 0))
        return both / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - both)

    answers = []
    for true, found, values in zip(truth, boxes, scores, strict=True):
        free = np.isfinite(true).all()
        for box, value in zip(found, values, strict=True):
            if value <= 0:
                continue
            hit = free and overlap(true, box) >= threshold
            free = free and not hit
            answers.append((value, hit))
    total, area, before = np.isfinite(truth).all(1).sum(), 0.0, 0
    for level in sorted({value for value, _ in answers}, reverse=True):
        shown = [hit for value, hit in answers if value >= level]
        area += (sum(shown) - before) / total * sum(shown) / len(shown)
        before = sum(shown)
    return area


@pytest.mark.parametrize("threshold", [0.3, 0.5])
def test_average_precision_is_the_one_by_counting(threshold):
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 0.5, (30, 4, 2))
    boxes = np.concatenate([low, low + rng.uniform(0.2, 0.5, (30, 4, 2))], 2)
    scores = np.sort(rng.choice([0.0, 0.2, 0.4, 0.7, 0.9], (30, 4)), 1)[:, ::-1]
    truth = np.where(rng.random((30, 1)) < 0.6, boxes[:, 1] + 0.03, np.nan)
    found = box_average_precision(np.arange(30), truth, boxes, scores, threshold, 100)
    assert found.value == pytest.approx(by_counting(truth, boxes, scores, threshold), abs=1e-6)
    assert found.lo < found.value < found.hi


def test_right_boxes_have_average_precision_1_and_boxes_on_genuine_pictures_lower_it():
    truth = np.array([[0.2, 0.2, 0.6, 0.6], NOTHING])
    boxes = np.tile(truth[0], (2, 1, 1))
    sure = np.array([[0.9], [0.0]])
    assert box_average_precision(np.arange(2), truth, boxes, sure, 0.5, 0).value == 1.0
    wrong = np.array([[0.5], [0.9]])
    assert box_average_precision(np.arange(2), truth, boxes, wrong, 0.5, 0).value == 0.5


def test_without_true_boxes_there_is_a_reason():
    found = box_average_precision(
        np.arange(2), np.tile(NOTHING, (2, 1)), np.zeros((2, 1, 4)), np.ones((2, 1)), 0.5, 0
    )
    assert found.value is None and found.reason == "no true boxes"


@pytest.mark.parametrize(
    ("videos", "bootstrap", "reason"),
    [(2, 0, ""), (1, 0, ""), (1, 20, "no interval: one video only"), (2, 20, "")],
)
def test_an_interval_that_nobody_asked_for_has_no_reason(videos, bootstrap, reason):
    truth = np.tile([0.2, 0.2, 0.6, 0.6], (2, 1))
    video, score = np.arange(2) % videos, np.ones((2, 1))
    found = box_average_precision(video, truth, truth[:, None], score, 0.5, bootstrap)
    assert found.reason == reason and (found.lo is None) == (videos < 2 or not bootstrap)


@pytest.fixture(scope="module")
def people(make_people):
    return make_people({f"p{k}": 1 for k in range(6)}, frames=2, fakes=True, around=(90, 90, 90))


def test_cases_are_fakes_with_their_masks_and_pristine_frames_without(network, people):
    found = cases(people, "test", network, 8, seed=0)
    assert found.fake.sum() == 8 and len(found.fake) == 16
    assert (found.masks[~found.fake] == 0).all() and np.isnan(found.truth[~found.fake]).all()
    # The mask is the hull of the face, up to the interpolation at its border.
    assert np.abs(found.masks[found.fake] - found.faces[found.fake]).mean() < 0.03
    assert (found.method == "swap").all()


def test_a_detector_of_red_cells_points_into_red_faces(network, people):
    section = pointing.measure([network], [(people, "test")], "map", 8, 20, quiet=True)

    def row(detector, metric):
        (found,) = [
            r
            for r in section.rows
            if (r["detector"], r["metric"], r["method"]) == (detector, metric, "all")
        ]
        return found

    uniform = row("uniform map", "energy_inside")["value"]
    assert row("map of the face", "energy_inside")["value"] > 0.9 > uniform > 0.02
    assert row("colours, local anchors", "pointing")["reason"] == pointing.NO_ADM
    assert row("colours, Grad-CAM", "energy_inside")["value"] >= 0
    assert {"cam-0", "cam-methods"} <= set(section.figures)
