"""The share of each anchor inside a mask."""

import numpy as np
import pytest

from iid_jax import coverage


def published_anchors(golden) -> np.ndarray:
    return golden("anchors")["priors"]


def test_a_full_mask_covers_every_anchor(golden):
    covered = coverage.of_anchors(np.ones((112, 112)), published_anchors(golden))
    np.testing.assert_allclose(covered, 1.0, rtol=1e-6)
    assert covered.dtype == np.float32


def test_an_empty_mask_covers_none(golden):
    assert not coverage.of_anchors(np.zeros((112, 112)), published_anchors(golden)).any()


def test_coverage_equals_a_count_of_small_cells(golden):
    """Against the mean over a mask enlarged 25 times, where anchors end on nearly whole cells."""
    anchors = published_anchors(golden)[::5]
    mask = np.random.default_rng(0).random((28, 28))
    fine, cells = np.kron(mask, np.ones((25, 25))), 28 * 25
    for anchor, covered in zip(anchors, coverage.of_anchors(mask, anchors), strict=True):
        low = np.rint(np.clip(anchor[:2] - anchor[2:] / 2, 0, 1) * cells).astype(int)
        high = np.rint(np.clip(anchor[:2] + anchor[2:] / 2, 0, 1) * cells).astype(int)
        wanted = fine[low[1] : high[1], low[0] : high[0]].mean()
        assert covered == pytest.approx(wanted, abs=0.01)


def test_an_artifact_at_the_top_right_covers_anchors_there(golden):
    anchors = published_anchors(golden)
    mask = np.zeros((112, 112))
    mask[:30, 80:] = 1.0
    x, y = anchors[coverage.of_anchors(mask, anchors) > 0.6, :2].T
    assert len(x) > 0
    assert (x > 0.6).all()
    assert (y < 0.4).all()


def test_an_anchor_without_area_is_covered_by_nothing():
    anchors = np.array([[0.5, 0.5, 0.0, 0.2], [1.5, 1.5, 0.2, 0.2]], np.float32)
    assert coverage.of_anchors(np.ones((16, 16)), anchors).tolist() == [0.0, 0.0]


def test_anchors_are_read_anew_for_every_size(golden):
    anchors, rng = published_anchors(golden), np.random.default_rng(0)
    small, tall = rng.random((14, 14)), rng.random((28, 14))
    wanted = coverage.of_anchors(small, anchors)
    assert (coverage.of_anchors(tall, anchors) != wanted).any()
    enlarged = np.kron(small, np.ones((2, 1)))
    np.testing.assert_allclose(coverage.of_anchors(enlarged, anchors), wanted, atol=1e-6)
    np.testing.assert_array_equal(coverage.of_anchors(small, anchors), wanted)
