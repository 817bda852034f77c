"""Masks, their deformation and feathering, tight boxes, and DSSIM."""

import hashlib

import cv2
import numpy as np
import pytest

from iid_jax import geometry
from iid_jax.forgery import masks

SIZE = (60, 80)


def seed_of(name: str) -> int:
    """The seed under which golden inputs were drawn (golden/README.md of the reference run)."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")


def noise(name: str, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed_of(name)).integers(0, 256, shape, np.uint8)


@pytest.fixture(scope="module")
def landmarks(golden) -> np.ndarray:
    return golden("alignment")["aligned"][0]


# --- shapes --------------------------------------------------------------------------------------


def test_a_window_is_its_pixels():
    mask = masks.window((10, 5, 30, 25), SIZE)
    assert mask[5:25, 10:30].all()
    assert mask.sum() == 400


def test_a_polygon_has_its_area_in_place():
    corners = np.array([[10.2, 8.7], [60.4, 12.1], [50.9, 50.3], [20.6, 44.8]])
    mask = masks.polygon(corners, SIZE)
    rows, columns = np.nonzero(mask)
    moments = cv2.moments(corners.astype(np.float32))
    # Every pixel that the outline touches counts, hence half the perimeter on top.
    area = moments["m00"] + cv2.arcLength(corners.astype(np.float32), True) / 2
    assert mask.sum() == pytest.approx(area, rel=0.02)
    assert columns.mean() == pytest.approx(moments["m10"] / moments["m00"], abs=0.3)
    assert rows.mean() == pytest.approx(moments["m01"] / moments["m00"], abs=0.3)


def test_a_polygon_is_cut_at_the_picture():
    corners = np.array([[-500.0, -500.0], [40.0, -500.0], [40.0, 500.0], [-500.0, 500.0]])
    mask = masks.polygon(corners, SIZE)
    assert mask[:, :40].all()
    assert not mask[:, 42:].any()


def test_a_face_mask_holds_landmarks_and_forehead(landmarks):
    mask = masks.face((224, 224), landmarks)
    points = np.concatenate([landmarks, geometry.forehead(landmarks)])
    columns, rows = np.rint(points[(points > 0).all(axis=1) & (points < 223).all(axis=1)].T).astype(
        int
    )
    grown = cv2.dilate(mask, np.ones((3, 3)))
    assert len(rows) > 70
    assert grown[rows, columns].all()


def test_a_face_mask_of_two_faces_holds_both(landmarks):
    shifted = landmarks + (15, 5)
    union = masks.face((224, 224), landmarks, shifted)
    each = np.maximum(masks.face((224, 224), landmarks), masks.face((224, 224), shifted))
    assert (union >= each).all()


# --- deformation ---------------------------------------------------------------------------------


def test_no_deformation_changes_nothing():
    mask = masks.window((20, 20, 50, 40), SIZE)
    np.testing.assert_array_equal(masks.deform(mask, np.random.default_rng(0), 0.0), mask)


@pytest.mark.parametrize("seed", range(5))
def test_a_deformed_edge_moves_at_most_about_its_strength(seed):
    """Cubic interpolation may overshoot the knots, by a quarter at most in each direction."""
    mask = cv2.circle(np.zeros((112, 112), np.float32), (56, 56), 30, 1.0, -1)
    deformed = masks.deform(mask, np.random.default_rng(seed), 4.0)
    reach = int(np.ceil(4.0 * 1.5625 * np.sqrt(2))) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    assert (deformed <= cv2.dilate(mask, kernel)).all()
    assert (deformed >= cv2.erode(mask, kernel)).all()
    assert 30 < np.abs(deformed - mask).sum() < 1500


@pytest.mark.parametrize("bounds", [(20, 20, 50, 40), (0, 0, 9, 7), (70, 50, 80, 60)])
def test_a_deformed_mask_is_the_whole_field_s(bounds):
    """Only the surroundings of what is inside are looked at; what comes out is of the picture."""
    mask, seed, strength = masks.window(bounds, SIZE), 3, 5.0
    deformed = masks.deform(mask, np.random.default_rng(seed), strength)
    knots = np.random.default_rng(seed).uniform(-strength, strength, (5, 5, 2)).astype(np.float32)
    field = cv2.resize(knots, SIZE[::-1], interpolation=cv2.INTER_CUBIC)
    y, x = np.indices(SIZE, np.float32)
    whole = cv2.remap(
        mask, x + field[..., 0], y + field[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
    )
    np.testing.assert_array_equal(deformed, whole)


def test_nothing_deformed_or_feathered_is_nothing():
    empty = np.zeros(SIZE, np.float32)
    assert not masks.deform(empty, np.random.default_rng(0), 3.0).any()
    assert not masks.feather(empty, 3.0).any()


def test_the_same_seed_deforms_the_same():
    mask = masks.window((20, 20, 50, 40), SIZE)
    first, again, other = (masks.deform(mask, np.random.default_rng(s), 3.0) for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


# --- feathering and boxes ------------------------------------------------------------------------


@pytest.mark.parametrize("width", [0.1, 1.0, 3.5, 7.0])
def test_feathering_keeps_the_half_level_where_the_edge_was(width):
    bounds = (20, 15, 55, 45)
    feathered = masks.feather(masks.window(bounds, SIZE), width)
    box = masks.tight_box(feathered) * (80, 60, 80, 60)
    np.testing.assert_allclose(box, bounds, atol=1e-4)


@pytest.mark.parametrize("width", [1.0, 3.5, 7.0])
def test_feathering_ends_within_its_width(width):
    mask = masks.window((20, 15, 55, 45), SIZE)
    feathered = masks.feather(mask, width)
    kernel = np.ones((2 * int(np.ceil(width)) + 1,) * 2)
    assert not feathered[cv2.dilate(mask, kernel) == 0].any()
    np.testing.assert_allclose(feathered[cv2.erode(mask, kernel) == 1], 1.0, atol=1e-6)
    assert feathered.min() >= 0.0
    assert feathered.max() <= 1.0


@pytest.mark.parametrize("bounds", [(20, 15, 55, 45), (0, 0, 9, 7), (0, 0, 80, 60)])
def test_a_feathered_mask_is_the_whole_picture_s(bounds):
    mask = masks.window(bounds, SIZE)
    whole = cv2.GaussianBlur(mask, (9, 9), 2.0, borderType=cv2.BORDER_REPLICATE)
    np.testing.assert_allclose(masks.feather(mask, 4.0), whole, atol=1e-6)


def test_a_wider_feather_is_softer():
    mask = masks.window((20, 15, 55, 45), SIZE)
    steps = [np.abs(np.diff(masks.feather(mask, width)[30])).max() for width in (1.0, 3.0, 7.0)]
    assert steps[0] > steps[1] > steps[2]


@pytest.mark.parametrize(
    "bounds", [(0, 0, 10, 10), (70, 0, 80, 10), (0, 50, 10, 60), (70, 50, 80, 60), (31, 22, 47, 29)]
)
def test_a_tight_box_is_x_y_normalised_to_the_picture(bounds):
    box = masks.tight_box(masks.window(bounds, SIZE))
    np.testing.assert_allclose(box * (80, 60, 80, 60), bounds, rtol=1e-6)
    assert box.dtype == np.float32


def test_a_mask_below_the_threshold_has_no_box():
    assert masks.tight_box(np.full(SIZE, 0.49, np.float32)) is None


# --- DSSIM ---------------------------------------------------------------------------------------


def test_dssim_equals_the_published_one_on_colour(golden):
    values = masks.dssim(noise("dssim_a", 64, 80, 3), noise("dssim_b", 64, 80, 3))
    np.testing.assert_allclose(values[::4, ::4], golden("dssim")["colour"], atol=1e-5)


def test_dssim_equals_the_published_one_on_grey(golden):
    """The reference repeats the grey map three times; ours keeps the shape of its input."""
    values = masks.dssim(noise("dssim_c", 50, 40), noise("dssim_d", 50, 40))
    np.testing.assert_allclose(values[::4, ::4], golden("dssim")["grey"][..., 0], atol=1e-5)


def test_dssim_of_equal_pictures_is_zero():
    picture = noise("equal", 40, 40, 3)
    assert masks.dssim(picture, picture).max() < 1e-4


def test_dssim_rises_only_near_the_change():
    picture = noise("changed", 60, 60, 3)
    changed = picture.copy()
    changed[10:16, 40:46] = 255 - changed[10:16, 40:46]
    values = masks.difference(picture, changed)
    assert values[10:16, 40:46].mean() > 0.2
    values[5:21, 35:51] = 0.0
    assert values.max() < 1e-4


@pytest.mark.parametrize(
    "bounds", [(0, 0, 9, 7), (30, 20, 50, 44), (71, 53, 80, 60), (0, 0, 80, 60)]
)
def test_the_difference_inside_a_mask_is_that_of_the_whole_picture_s_dssim(bounds):
    first, second = noise("first", *SIZE, 3), noise("second", *SIZE, 3)
    second[:30] = first[:30]
    mask = masks.feather(masks.window(bounds, SIZE), 2.0)
    grey = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (first, second))
    found = masks.difference_inside(first, second, mask)
    np.testing.assert_allclose(found, masks.dssim(*grey) * mask, atol=1e-5)


@pytest.mark.parametrize("bounds", [(0, 0, 9, 7), (30, 20, 50, 44)])
def test_the_grey_difference_is_the_mean_over_the_mask_s_core(bounds):
    first, second = noise("first", *SIZE, 3), noise("second", *SIZE, 3)
    mask = masks.feather(masks.window(bounds, SIZE), 2.0)
    wanted = np.abs(first.astype(float) - second)[mask >= 0.5].mean()
    assert masks.grey_difference(first, second, mask) == pytest.approx(wanted, abs=1e-9)


def test_a_change_of_colour_at_equal_luminance_is_no_difference():
    grey = np.full((*SIZE, 3), 128, np.uint8)
    red = np.clip(grey + np.array([70.0, -36.0, 0.0]), 0, 255).astype(np.uint8)
    assert masks.difference(grey, red).max() < 1e-3


def test_the_grey_difference_over_no_pixel_is_zero():
    first, second = noise("first", *SIZE, 3), noise("second", *SIZE, 3)
    assert masks.grey_difference(first, second, np.full(SIZE, 0.4)) == 0.0
