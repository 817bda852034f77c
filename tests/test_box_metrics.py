"""Found, false and won boxes, against boxes placed by hand."""

import numpy as np

from iid_jax import box_metrics


def frame(*rows, count=3):
    padded = np.full((count, 4), np.nan)
    padded[: len(rows)] = np.reshape(rows, (-1, 4))
    return padded


def test_a_true_box_is_found_by_one_box_and_the_rest_are_false():
    left, right = (0.0, 0.0, 0.4, 0.4), (0.5, 0.0, 0.9, 0.4)
    near, far = (0.05, 0.0, 0.45, 0.4), (0.0, 0.6, 0.4, 1.0)
    truths = np.stack([frame(left, right), frame(left), frame(left), frame(), frame((0, 0, 0, 1))])
    predicted = np.stack(
        [frame(near, right), frame(left, near), frame(far), frame(far, left), frame(left)]
    )
    found, present, false = box_metrics.match_boxes(truths, predicted)
    assert found.tolist() == [2, 1, 0, 0, 0]
    assert present.tolist() == [2, 1, 1, 0, 0]
    assert false.tolist() == [0, 1, 1, 2, 1]
    video = np.array(["a", "a", "b", "c", "c"])
    measured = box_metrics.localisation(video, truths, predicted)
    assert measured["box_recall"].value == 3 / 4
    assert measured["box_recall"].n_videos == 2  # video c holds no true box
    assert measured["false_boxes"].value == 5 / 5
    assert measured["box_precision"].value == 3 / 8
    assert measured["box_precision"].n_videos == 3
    assert (measured["box_recall"].lo, measured["box_recall"].hi) == (0.0, 1.0)


def test_a_box_takes_the_true_box_that_no_better_one_has():
    first, second = (0.0, 0.0, 0.4, 0.4), (0.1, 0.0, 0.5, 0.4)
    nearer_the_first = (0.04, 0.0, 0.44, 0.4)
    found, present, false = box_metrics.match_boxes(
        frame(first, second)[None], frame(first, nearer_the_first)[None]
    )
    assert (found[0], present[0], false[0]) == (2, 2, 0)


def test_boxes_are_matched_from_iou_one_half():
    truth = frame((0.0, 0.0, 0.5, 0.5))
    for width, expected in ((0.24, 0), (0.25, 1), (1.0, 1), (1.01, 0)):
        found, _, _ = box_metrics.match_boxes(truth[None], frame((0.0, 0.0, width, 0.5))[None])
        assert found.tolist() == [expected]


def test_pictures_without_any_true_box_have_no_recall():
    nothing, boxes = np.zeros((2, 0, 4)), np.stack([frame((0, 0, 1, 1)), frame()])
    found = box_metrics.localisation(np.array(["a", "b"]), nothing, boxes)
    assert (found["box_recall"].value, found["box_recall"].reason) == (None, "no true boxes")
    assert found["false_boxes"].value == 0.5
    assert found["box_precision"].value == 0.0
    none = box_metrics.localisation(np.array([], str), nothing[:0], boxes[:0])
    assert none["false_boxes"].value is None


def test_pictures_without_any_box_have_no_precision():
    truths = np.stack([frame((0, 0, 1, 1)), frame()])
    found = box_metrics.localisation(np.array(["a", "b"]), truths, np.full((2, 3, 4), np.nan))
    assert (found["box_precision"].value, found["box_precision"].reason) == (None, "no boxes")
    assert found["box_recall"].value == 0.0


def test_a_pair_is_won_by_the_higher_score_and_shared_by_equal_ones():
    video = np.array(["a", "a", "b", "c", "d", "e"])
    fake = np.array([0.9, 0.2, 0.5, np.nan, 0.7, 0.7])
    won = box_metrics.pair_win(video, fake, np.array([0.1, 0.3, 0.5, 0.1, 0.1, np.nan]))
    assert (won.value, won.n_videos) == (2.5 / 4, 3)
    assert won.lo == 0.5 and won.hi == 1.0
    assert box_metrics.pair_win(video[3:4], fake[3:4], fake[3:4]).reason == "no scored pairs"
