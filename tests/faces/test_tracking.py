"""Following one face: the largest, then by overlap; what is doubtful about a face is said."""

import numpy as np
import pytest

from iid_jax.faces import drawn, tracking
from iid_jax.faces.landmarks import Face


def face(x, y, side, score=1.0) -> Face:
    box = np.array([x, y, x + side, y + side], np.float32)
    return Face(box, np.zeros((68, 2), np.float32), score)


def test_the_largest_face_is_the_first():
    follower = tracking.Follower()
    small, large = face(0, 0, 50), face(100, 0, 80)
    assert follower.choose([small, large]) == (large, False)


def test_the_face_is_followed_though_another_grows_larger():
    follower = tracking.Follower()
    follower.choose([face(0, 0, 50)])
    mine, other = face(10, 5, 50), face(200, 0, 120)
    assert follower.choose([other, mine]) == (mine, False)
    assert follower.choose([]) is None
    assert follower.choose([other, face(15, 5, 50)])[0].box[0] == 15


def test_a_face_that_overlaps_none_before_is_found_anew():
    follower = tracking.Follower()
    follower.choose([face(0, 0, 50)])
    chosen, moved = follower.choose([face(300, 0, 40), face(200, 0, 60)])
    assert moved and chosen.box[0] == 200


def test_the_forged_face_is_the_one_with_the_mask():
    follower = tracking.Follower()
    mask = np.zeros((120, 300), np.float32)
    mask[10:30, 10:30] = 1.0
    forged, large = face(0, 0, 50), face(100, 0, 110)
    assert follower.choose([large, forged], mask)[0] is forged
    assert follower.choose([large, forged], np.zeros_like(mask))[0] is forged
    assert tracking.Follower().choose([large, forged], np.zeros_like(mask))[0] is large


@pytest.mark.parametrize(
    ("other", "expected"),
    [((0, 0, 10, 10), 1.0), ((5, 0, 15, 10), 1 / 3), ((10, 0, 20, 10), 0.0), ((3, 3, 3, 3), 0.0)],
)
def test_overlap_is_intersection_over_union(other, expected):
    a, b = np.array([0.0, 0, 10, 10]), np.array(other, float)
    assert tracking.overlap(a, b) == tracking.overlap(b, a) == pytest.approx(expected)


def test_flags_say_what_is_doubtful():
    rng = np.random.default_rng(0)
    points = drawn.draw_video(drawn.draw_person(rng), rng, 1)[0].landmarks
    box = np.concatenate([points.min(axis=0), points.max(axis=0)])
    centred = points - points.mean(axis=0)
    size = np.ptp(points, axis=0).max()
    assert "tiny" not in tracking.flags(Face(box, centred * 40.5 / size, 1.0), 1)
    assert "tiny" in tracking.flags(Face(box, centred * 39.5 / size, 1.0), 1)
    assert {"several", "moved"} <= set(tracking.flags(Face(box, points, 1.0), 2, moved=True))
    turned = points.copy()
    eyes = points[42:48].mean(axis=0) - points[36:42].mean(axis=0)
    turned[30] = (points[36:42].mean(axis=0) + points[42:48].mean(axis=0)) / 2 + 0.3 * eyes
    assert tracking.sideways(turned) == pytest.approx(0.3, abs=1e-5)
    assert "profile" in tracking.flags(Face(box, turned, 1.0), 1)
