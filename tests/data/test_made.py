"""Casting and matching in made data sets: who gets whose face, and what is refused."""

import numpy as np
import pytest

from iid_jax import geometry
from iid_jax.data import made
from iid_jax.data.made import Shot
from iid_jax.faces import drawn


@pytest.fixture(scope="module")
def points() -> np.ndarray:
    rng = np.random.default_rng(0)
    return drawn.draw_video(drawn.draw_person(rng), rng, 1)[0].landmarks


def turned(points: np.ndarray, amount: float) -> np.ndarray:
    """The landmarks squeezed on one side, as by a turn of the head."""
    x = points[:, 0] - points[:, 0].mean()
    moved = points.copy()
    moved[:, 0] += amount * np.abs(x)
    return moved


def test_pose_is_blind_to_place_size_and_roll(points):
    angle = 0.4
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = 2.5 * points @ turn.T + (30, -7)
    assert made.pose_distance(Shot(0, points), Shot(0, moved)) < 1e-6


def test_pose_is_compared_under_the_best_similarity(points):
    rng = np.random.default_rng(1)
    other = turned(points, 0.2) + rng.normal(0, 2, (68, 2))
    matrix = geometry.similarity(other, points)
    apart = np.abs(geometry.transform_points(matrix, other) - points).mean()
    expected = apart / np.ptp(points, axis=0).max()
    assert made.pose_distance(Shot(0, points), Shot(0, other)) == pytest.approx(expected)


def test_pose_distance_grows_with_the_turn_and_is_in_face_sizes(points):
    apart = [made.pose_distance(Shot(0, points), Shot(0, turned(points, a))) for a in (0.1, 0.3)]
    assert 0.005 < apart[0] < apart[1] < 0.1
    larger = made.pose_distance(Shot(0, 3 * points), Shot(0, 3 * turned(points, 0.1)))
    assert larger == pytest.approx(apart[0])


def test_tone_distance_is_a_share_of_all_grey_levels(points):
    dark, light = Shot(0, points, np.zeros(3)), Shot(0, points, np.array([255.0, 0.0, 0.0]))
    assert made.tone_distance(dark, light) == pytest.approx(1 / 3)


def test_the_likest_shot_has_the_nearest_pose_and_tone(points):
    target = Shot(0, points, np.full(3, 120.0))
    other_pose = Shot(0, turned(points, 0.3), target.tone)
    other_tone = Shot(1, points, np.full(3, 240.0))
    nearly = Shot(2, turned(points, 0.02), np.full(3, 125.0))
    assert made.likest_shot(target, [other_pose, other_tone, nearly]) is nearly
    assert made.distance([target], [other_pose, nearly]) == made.unlikeness(target, nearly)


def test_the_distance_between_people_is_the_mean_over_the_targets_shots(points):
    shots = [Shot(i, turned(points, a)) for i, a in enumerate((0.0, 0.3))]
    assert made.distance(shots, shots) == 0.0
    assert made.distance(shots, shots[:1]) == made.pose_distance(shots[1], shots[0]) / 2
