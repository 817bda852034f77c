"""Drawn people: the landmarks lie where things are painted, clips vary, and seeds decide all."""

import dataclasses

import cv2
import numpy as np
import pytest

from iid_jax import geometry
from iid_jax.faces import drawn
from iid_jax.faces.drawn import backdrop, paint, shape
from iid_jax.faces.drawn.relief import Light

GREEN = (0, 255, 0)
FRONTAL = shape.Pose(0.0, 0.0, 0.0, (192.0, 192.0), 70.0, 0.0, 0.0, 0.0, 0.0, (0.0, 0.0))
LIGHT = Light(np.array([0.0, -0.2, 0.98]), 0.7, 0.4)


@pytest.fixture(scope="module")
def clips():
    people = [drawn.draw_person(np.random.default_rng(seed)) for seed in range(16)]
    return [drawn.draw_video(p, np.random.default_rng(i), 4) for i, p in enumerate(people)]


def painted(pose: shape.Pose, seed: int = 0) -> tuple[np.ndarray, shape.Points]:
    """A bald, shaven face without glasses before a green screen, 384 px, and its points."""
    person = drawn.draw_person(np.random.default_rng(seed))
    hair = dataclasses.replace(person.hair, volume=0.0)
    person = dataclasses.replace(person, hair=hair, beard=0.0, glasses=0.0, iris=np.zeros(3))
    picture = np.full((384, 384, 3), GREEN, np.uint8)
    points = shape.place(person.shape, pose)
    paint.face(picture, person, points, pose, LIGHT)
    return picture, points


def screen(picture: np.ndarray) -> np.ndarray:
    """Where the green screen shows by more than half."""
    return picture[..., 1].astype(int) - picture[..., ::2].max(2) > 128


def test_the_same_seed_draws_the_same_clip():
    first, second = (
        drawn.draw_video(drawn.draw_person(np.random.default_rng(3)), np.random.default_rng(4), 2)
        for _ in range(2)
    )
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a.image, b.image)
        np.testing.assert_array_equal(a.landmarks, b.landmarks)


def test_a_shot_is_an_rgb_picture_with_landmarks_of_a_face_of_60_to_85_px(clips):
    for shot in (shot for clip in clips for shot in clip):
        assert shot.image.shape == (192, 192, 3) and shot.image.dtype == np.uint8
        assert shot.landmarks.shape == (68, 2) and shot.landmarks.dtype == np.float32
        assert shot.landmarks.min() > 0 and shot.landmarks.max() < 191
        assert 52 < np.ptp(shot.landmarks, axis=0).max() < 95


def test_landmarks_are_in_ibug_order(clips):
    for shot in (shot for clip in clips for shot in clip):
        points = shot.landmarks
        five = geometry.five_points(points)
        assert five[0, 0] < five[2, 0] < five[1, 0] and five[3, 0] < five[4, 0]
        brows, nose, mouth = points[geometry.BROWS], points[30], points[geometry.MOUTH]
        assert brows[:, 1].mean() < five[:2, 1].mean() < nose[1] < mouth[:, 1].mean()
        assert points[8, 1] > mouth[:, 1].max() and points[0, 0] < points[16, 0]
        assert (np.diff(points[17:27, 0]) > 0).all() and (np.diff(points[27:31, 1]) > 0).all()
        # Eyes run clockwise from the outer left corner, as the outer lips do from the left one.
        for loop in (points[36:42], points[42:48], points[48:60]):
            assert cv2.contourArea(loop, oriented=True) > 0


def test_the_mean_person_mirrors_onto_itself():
    nobody = dict.fromkeys(drawn.draw_person(np.random.default_rng(0)).shape, 0.0)
    points = shape.place(nobody, FRONTAL)
    mirrored = geometry.mirror_landmarks(points.landmarks, 385)
    np.testing.assert_allclose(mirrored, points.landmarks, atol=1e-3)


def test_the_jaw_landmarks_lie_on_the_painted_edge():
    picture, points = painted(FRONTAL)
    is_screen = screen(picture)
    for place in points.landmarks[4:13]:
        out = (place - FRONTAL.centre) / np.linalg.norm(place - FRONTAL.centre)
        x, y = np.rint(place + 3 * out).astype(int)
        assert is_screen[y, x]
        x, y = np.rint(place - 3 * out).astype(int)
        assert not is_screen[y, x]


@pytest.mark.parametrize("yaw", [-0.4, 0.4])
def test_the_far_side_of_the_jaw_is_the_visible_edge(yaw):
    picture, points = painted(dataclasses.replace(FRONTAL, yaw=yaw))
    is_screen = screen(picture)
    far = points.landmarks[11:14] if yaw > 0 else points.landmarks[3:6]
    for x, y in far:
        assert is_screen[round(y), round(x + 4 * np.sign(yaw))]
        assert not is_screen[round(y), round(x - 4 * np.sign(yaw))]


@pytest.mark.parametrize("yaw", [-0.4, 0.0, 0.4])
def test_features_are_painted_at_their_landmarks(yaw):
    pose = dataclasses.replace(FRONTAL, yaw=yaw, mouth_open=1.0)
    picture, points = painted(pose)
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(float)
    inside_mouth = points.landmarks[[65, 66, 67]].mean(0) - (0, 3)
    cheek = points.landmarks[[30, 48, 54]].mean(0) + (0, 4)
    pupil, corner = points.irises[0], points.landmarks[36]

    def level(place):
        x, y = np.rint(place).astype(int)
        return grey[y - 1 : y + 2, x - 1 : x + 2].mean()

    assert level(inside_mouth) < 0.6 * level(cheek)
    column, row = np.rint(pupil + (0, 2)).astype(int)  # below its catch-light
    left, right = np.rint([corner[0], pupil[0] - 6]).astype(int)
    white = grey[row - 3 : row + 4, left:right].max()
    assert grey[row, column] < 60 < 120 < white


def test_a_clip_keeps_its_place_and_moves_its_head(clips):
    for clip in clips:
        shift = [np.abs(shot.landmarks - clip[0].landmarks).mean() for shot in clip[1:]]
        assert 0.3 < max(shift) < 15
        corner = np.stack([shot.image[:12, :12].mean((0, 1)) for shot in clip])
        assert np.ptp(corner, axis=0).max() < 4


def test_clips_of_one_person_share_the_identity_and_differ_in_everything_else():
    person = drawn.draw_person(np.random.default_rng(5))
    a, b = (drawn.draw_video(person, np.random.default_rng(seed), 1)[0] for seed in (1, 2))
    assert np.abs(a.image.astype(int) - b.image).mean() > 10


def test_people_differ_in_geometry_colour_and_texture():
    people = [drawn.draw_person(np.random.default_rng(seed)) for seed in range(40)]
    faces = np.stack([shape.place(p.shape, FRONTAL).landmarks for p in people])
    aligned = [geometry.transform_points(geometry.alignment(f, 112), f) for f in faces]
    assert np.std(aligned, axis=0).mean() > 0.8
    assert np.std([p.skin for p in people], axis=0).min() > 20
    assert abs(np.corrcoef(people[0].texture.ravel(), people[1].texture.ravel())[0, 1]) < 0.5
    assert {bool(p.glasses) for p in people} == {bool(p.beard) for p in people} == {True, False}


def test_cameras_differ_in_noise_and_sharpness(clips):
    flat = []
    for clip in clips:
        grey = cv2.cvtColor(clip[0].image, cv2.COLOR_RGB2GRAY)
        flat.append(cv2.Laplacian(grey[:30], cv2.CV_32F).var())
    assert max(flat) > 5 * min(flat)


def test_light_from_the_left_brightens_the_left_cheek():
    sides = []
    for x in (-0.7, 0.7):
        person = drawn.draw_person(np.random.default_rng(1))
        picture = np.zeros((384, 384, 3), np.uint8)
        points = shape.place(person.shape, FRONTAL)
        light = Light(np.array([x, 0.0, 0.714]), 0.7, 0.3)
        paint.face(picture, person, points, FRONTAL, light)
        place = (points.landmarks[2] * 3 + points.landmarks[31]) / 4
        column, row = np.rint(place).astype(int)
        sides.append(picture[row - 3 : row + 4, column - 3 : column + 4].mean())
    assert sides[0] > 1.3 * sides[1]


def test_a_body_below_the_frame_is_no_error():
    person = drawn.draw_person(np.random.default_rng(1))
    pose = dataclasses.replace(FRONTAL, centre=(192.0, 330.0))
    picture = np.zeros((384, 384, 3), np.uint8)
    points = shape.place(person.shape, pose)
    backdrop.body(picture, person, points, pose, LIGHT, picture.copy())
    paint.face(picture, person, points, pose, LIGHT)
    assert picture[200:].any()
