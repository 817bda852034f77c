"""Alignment, hulls, crops, mirrored points and anchor coverage."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iid_jax import geometry

LANDMARK_GROUPS = ("JAW", "BROWS", "NOSE_BRIDGE", "NOSTRILS", "OUTER_LIPS", "INNER_LIPS")


@pytest.fixture(scope="module")
def aligned(golden):
    return golden("alignment")


@pytest.fixture(scope="module")
def face(aligned) -> np.ndarray:
    """The landmarks of a photographed face on a 224 canvas."""
    return aligned["aligned"][0]


def golden_alignment(aligned, index: int, canvas: int = 224, **options) -> np.ndarray:
    return geometry.alignment(
        aligned["landmarks"][index],
        canvas,
        scale=aligned["scale"][index],
        translation=aligned["translation"][index],
        rotation=aligned["rotation"][index],
        stretch=aligned["stretch"][index],
        **options,
    )


def rotated(points: np.ndarray, degrees: float, shift: tuple[float, float]) -> np.ndarray:
    turn = np.deg2rad(degrees)
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return points @ matrix.T + shift


def inside(polygon: np.ndarray, points: np.ndarray, margin: float = 1e-2) -> bool:
    contour = polygon.astype(np.float32)
    return all(
        cv2.pointPolygonTest(contour, (float(x), float(y)), True) >= -margin for x, y in points
    )


# --- alignment -----------------------------------------------------------------------------------


@pytest.mark.parametrize("index", range(24))
def test_alignment_equals_the_published_matrices(aligned, index):
    matrix = golden_alignment(aligned, index, face_width=80)
    np.testing.assert_allclose(matrix, aligned["matrices"][index], rtol=1e-9, atol=1e-9)


def test_mean_face_equals_the_published_points(aligned):
    np.testing.assert_allclose(geometry.mean_face(224, 80, 0.9), aligned["mean_face"], rtol=1e-12)


@pytest.mark.parametrize("canvas", [64, 112, 448])
@pytest.mark.parametrize("index", [0, 6, 12, 15])
def test_alignment_scales_with_the_canvas(aligned, index, canvas):
    wanted = np.diag([canvas / 224, canvas / 224, 1.0]) @ aligned["matrices"][index]
    matrix = golden_alignment(aligned, index, canvas)
    corners = np.array([[0, 0], [300, 0], [0, 300], [300, 300]])
    np.testing.assert_allclose(
        geometry.transform_points(matrix, corners),
        geometry.transform_points(wanted, corners),
        atol=1e-2,
    )


def test_sub_pixel_eyes_follow_a_shifted_face_exactly(aligned):
    landmarks, shift = aligned["landmarks"][0], np.array([0.4, -0.3])
    options = {"whole_pixel_eyes": False}
    still = geometry.alignment(landmarks, 224, **options)
    moved = geometry.alignment(landmarks + shift, 224, **options)
    np.testing.assert_allclose(
        geometry.transform_points(moved, landmarks + shift),
        geometry.transform_points(still, landmarks),
        atol=1e-6,
    )


def test_landmarks_of_another_layout_are_refused():
    with pytest.raises(ValueError, match=r"\(68, 2\).*\(5, 2\)"):
        geometry.alignment(np.zeros((5, 2)), 224)


@given(
    degrees=st.floats(-180, 180),
    scale=st.floats(0.1, 10),
    x=st.floats(-500, 500),
    y=st.floats(-500, 500),
)
@settings(max_examples=50, deadline=None)
def test_similarity_recovers_what_was_applied(degrees, scale, x, y):
    source = np.array([[0.0, 0.0], [10.0, 1.0], [4.0, 7.0], [-3.0, 5.0], [2.0, -6.0]])
    target = rotated(source * scale, degrees, (x, y))
    matrix = geometry.similarity(source, target)
    np.testing.assert_allclose(geometry.transform_points(matrix, source), target, atol=1e-7)


def test_similarity_is_the_least_squares_one(aligned):
    source, target = geometry.five_points(aligned["landmarks"][1]), geometry.mean_face(224)
    # Unknowns a, b, c, d of (x, y) -> (a x - b y + c, b x + a y + d), solved as a linear system.
    x, y = source.T
    one, zero = np.ones(5), np.zeros(5)
    rows = np.concatenate([np.stack([x, -y, one, zero], 1), np.stack([y, x, zero, one], 1)])
    a, b, c, d = np.linalg.lstsq(rows, target.T.ravel(), rcond=None)[0]
    matrix = geometry.similarity(source, target)
    np.testing.assert_allclose(matrix, [[a, -b, c], [b, a, d], [0, 0, 1]], atol=1e-9)


@pytest.mark.parametrize("source", [np.ones((5, 2)), np.full((5, 2), np.nan)])
def test_similarity_of_one_point_is_refused(source):
    with pytest.raises(ValueError, match="two different finite points"):
        geometry.similarity(source, geometry.mean_face(224))


# --- points and pictures under a matrix ----------------------------------------------------------


@pytest.mark.parametrize("index", [0, 3, 12, 15])
def test_points_are_divided_by_their_perspective(aligned, index):
    matrix, points = aligned["matrices"][index], aligned["landmarks"][index]
    wanted = cv2.perspectiveTransform(points[None], matrix)[0]
    np.testing.assert_allclose(geometry.transform_points(matrix, points), wanted, atol=1e-9)


@pytest.mark.parametrize("index", [0, 2, 10, 23])
def test_points_equal_the_published_ones_where_nothing_is_stretched(aligned, index):
    points = geometry.transform_points(aligned["matrices"][index], aligned["landmarks"][index])
    np.testing.assert_allclose(points, aligned["aligned"][index], atol=1e-3)


@pytest.mark.parametrize("index", [0, 3, 6, 12])
def test_a_dot_is_warped_to_where_its_point_is(aligned, index):
    matrix = golden_alignment(aligned, index)
    nose = np.rint(aligned["landmarks"][index][geometry.NOSE_TIP]).astype(int)
    picture = np.zeros((400, 400), np.float32)
    picture[nose[1], nose[0]] = 1.0
    picture = cv2.GaussianBlur(picture, (0, 0), 3.0)
    warped = geometry.warp(picture, matrix, 224)
    rows, columns = np.indices(warped.shape)
    centre = np.array([(columns * warped).sum(), (rows * warped).sum()]) / warped.sum()
    np.testing.assert_allclose(centre, geometry.transform_points(matrix, nose[None])[0], atol=0.2)


@pytest.mark.parametrize("perspective", [0.0, 1e-4])
def test_outside_the_picture_its_edge_is_repeated(perspective):
    picture = np.zeros((20, 20, 3), np.uint8)
    picture[:, 0], picture[:, -1] = 50, 200
    matrix = np.array([[1.0, 0.0, 10.0], [0.0, 1.0, 10.0], [perspective, 0.0, 1.0]])
    warped = geometry.warp(picture, matrix, 40)
    assert (warped[:, :9] == 50).all()
    assert (warped[:, 32:] == 200).all()


def test_a_mask_may_be_warped_without_repeating_its_edge():
    matrix = np.array([[1.0, 0.0, 10.0], [0.0, 1.0, 10.0], [0.0, 0.0, 1.0]])
    warped = geometry.warp(np.ones((20, 20), np.float32), matrix, 40, border=cv2.BORDER_CONSTANT)
    assert warped.sum() == 400.0


@pytest.mark.parametrize("perspective", [0.0, 1e-4])
@pytest.mark.parametrize("border", [cv2.BORDER_REPLICATE, cv2.BORDER_CONSTANT])
def test_a_warp_in_colour_is_that_of_each_channel(perspective, border):
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (70, 90, 3), np.uint8)
    matrix = np.array([[1.3, 0.2, -8.0], [-0.1, 1.2, 9.0], [perspective, -perspective, 1.0]])
    warped = geometry.warp(picture, matrix, 112, border=border)
    channels = [
        cv2.warpPerspective(c, matrix, (112, 112), flags=cv2.INTER_LINEAR, borderMode=border)
        for c in cv2.split(picture)
    ]
    # OpenCV rounds shares of a pixel differently in its kernels for one and for four channels.
    assert np.abs(warped.astype(int) - np.stack(channels, -1)).max() <= 1


# --- mirrored ------------------------------------------------------------------------------------


def test_mirroring_twice_changes_nothing(face):
    twice = geometry.mirror_landmarks(geometry.mirror_landmarks(face, 224), 224)
    np.testing.assert_allclose(twice, face)


@pytest.mark.parametrize("group", LANDMARK_GROUPS)
def test_mirrored_landmarks_stay_in_their_group(group):
    members = np.arange(68)[getattr(geometry, group)]
    assert set(geometry.MIRROR[members]) == set(members)


def test_mirrored_eyes_and_brows_change_sides():
    order = np.arange(68)
    for left, right in (
        (geometry.LEFT_EYE, geometry.RIGHT_EYE),
        (geometry.LEFT_BROW, geometry.RIGHT_BROW),
    ):
        assert set(geometry.MIRROR[order[left]]) == set(order[right])


def test_mirrored_landmarks_keep_left_to_right_order(face):
    """A frontal face's mirrored landmarks lie near its own: pairs are swapped one by one."""
    mirrored = geometry.mirror_landmarks(face, 224)
    middle = face[geometry.NOSE_TIP] - mirrored[geometry.NOSE_TIP]
    distance = np.linalg.norm(mirrored + middle - face, axis=1)
    eyes = np.linalg.norm(np.subtract(*geometry.five_points(face)[:2]))
    assert distance.max() < 0.25 * eyes


def test_a_mirrored_point_marks_the_mirrored_pixel():
    picture = np.zeros((8, 10), np.uint8)
    picture[3, 2] = 1
    ((x, y),) = geometry.mirror_points(np.array([[2, 3]]), 10)
    assert picture[:, ::-1][y, x] == 1


def test_a_mirrored_box_surrounds_the_mirrored_pixels():
    mask = np.zeros((10, 10))
    mask[2:5, 1:4] = 1
    box = geometry.mirror_boxes(np.array([[0.1, 0.2, 0.4, 0.5]]))[0]
    x0, y0, x1, y1 = np.rint(box * 10).astype(int)
    assert mask[:, ::-1][y0:y1, x0:x1].all()
    assert (x1 - x0) * (y1 - y0) == mask.sum()


# --- hulls and crops -----------------------------------------------------------------------------


@pytest.mark.parametrize("degrees", [-40, 0, 25, 180])
def test_the_forehead_turns_with_the_face(face, degrees):
    turned = geometry.forehead(rotated(face, degrees, (30, -20)))
    np.testing.assert_allclose(turned, rotated(geometry.forehead(face), degrees, (30, -20)))


def test_the_forehead_rises_above_the_brows_by_its_share(face):
    up = face[geometry.BRIDGE] - face[geometry.NOSE_TIP]
    up = up / np.linalg.norm(up)
    points, brows = geometry.forehead(face), face[geometry.BROWS].mean(axis=0)
    rise = ((points - brows) @ up).max() / np.dot(brows - face[geometry.NOSE_TIP], up)
    assert points.shape == (13, 2)
    np.testing.assert_allclose(rise, 0.55, rtol=1e-6)


def test_the_forehead_is_as_wide_as_the_jaw(face):
    points, jaw = geometry.forehead(face), face[geometry.JAW]
    width = np.linalg.norm(points[-1] - points[0]) / np.linalg.norm(jaw[-1] - jaw[0])
    assert 0.9 < width <= 1.0


def test_the_hull_holds_every_landmark_and_the_forehead(face):
    polygon = geometry.hull(face)
    assert inside(polygon, face)
    assert inside(polygon, geometry.forehead(face))
    assert cv2.isContourConvex(polygon)


def test_the_hull_of_two_faces_holds_both(face):
    other = face * 1.1 + (12, -7)
    polygon = geometry.hull(face, other)
    assert inside(polygon, np.concatenate([face, other]))
    assert cv2.contourArea(polygon) > cv2.contourArea(geometry.hull(face))


def test_a_crop_is_a_square_of_2_6_landmark_boxes_around_the_face(face):
    landmarks = face + 1000
    x0, y0, x1, y1 = geometry.crop_box(landmarks, (3000, 3000))
    low, high = landmarks.min(axis=0), landmarks.max(axis=0)
    assert x1 - x0 == y1 - y0 == np.ceil(2.6 * (high - low).max())
    np.testing.assert_allclose([(x0 + x1) / 2, (y0 + y1) / 2], (low + high) / 2, atol=1.0)


def test_a_crop_is_clipped_to_the_frame(face):
    assert geometry.crop_box(face, (224, 200)) == (0, 0, 200, 224)


@pytest.mark.parametrize("shift", [(5000, 0), (0, 5000), (-5000, 0), (0, -5000)])
def test_a_crop_of_a_face_outside_the_frame_is_empty(face, shift):
    x0, y0, x1, y1 = geometry.crop_box(face + shift, (224, 224))
    assert (x1 - x0) * (y1 - y0) == 0


# --- pairing -------------------------------------------------------------------------------------


def test_equal_faces_do_not_disagree(face):
    assert geometry.alignment_disagreement(face, face) == 0.0


@pytest.mark.parametrize("size", [0.2, 1.0, 7.0])
def test_disagreement_is_measured_in_eye_distances(face, size):
    landmarks = face * size
    eyes = np.linalg.norm(np.subtract(*geometry.five_points(landmarks)[:2]))
    moved = landmarks.copy()
    moved[geometry.LEFT_MOUTH] += (0.0, 0.08 * eyes)
    assert geometry.alignment_disagreement(landmarks, moved) == pytest.approx(0.08)


def test_a_face_without_eye_distance_disagrees_with_everything(face):
    assert geometry.alignment_disagreement(np.zeros((68, 2)), np.zeros((68, 2))) == float("inf")
