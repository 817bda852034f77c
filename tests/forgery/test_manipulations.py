"""The four manipulations: what they may change, how they differ in kind, and that all show."""

import itertools

import cv2
import numpy as np
import pytest

from iid_jax import geometry
from iid_jax.errors import DataError
from iid_jax.faces import drawn
from iid_jax.forgery import manipulations, warps
from iid_jax.forgery.manipulations import MANIPULATIONS, MIN_DIFFERENCE, difference

NAMES = tuple(MANIPULATIONS)
SWAPS = ("affine_swap", "resynthesis", "poisson_swap")


def shot(seed: int) -> drawn.Shot:
    person = drawn.draw_person(np.random.default_rng(seed))
    return drawn.draw_video(person, np.random.default_rng(seed + 100), 1)[0]


@pytest.fixture(scope="module")
def shots():
    return [shot(seed) for seed in range(10)]


def make(name, target, donor, seed=0):
    rng = np.random.default_rng(seed)
    return MANIPULATIONS[name](target.image, target.landmarks, donor.image, donor.landmarks, rng)


def test_there_are_the_four_of_the_made_data_sets():
    assert NAMES == ("affine_swap", "resynthesis", "expression", "poisson_swap")


@pytest.mark.parametrize("name", NAMES)
def test_nothing_changes_where_the_mask_is_zero(name, shots):
    for target, donor in itertools.pairwise(shots):
        made = make(name, target, donor)
        assert made.image.shape == target.image.shape and made.image.dtype == np.uint8
        assert made.mask.shape == target.image.shape[:2] and made.mask.dtype == np.float32
        assert made.mask.min() == 0.0 and 0.9 < made.mask.max() <= 1.0
        np.testing.assert_array_equal(made.image[made.mask == 0], target.image[made.mask == 0])


@pytest.mark.parametrize("name", NAMES)
def test_the_mask_lies_on_the_face(name, shots):
    for target, donor in itertools.pairwise(shots):
        made = make(name, target, donor)
        face = np.zeros(made.mask.shape, np.uint8)
        cv2.fillConvexPoly(face, np.rint(geometry.hull(target.landmarks)).astype(int), 1)
        assert (made.mask[face == 0] > 0.5).sum() < 0.06 * (made.mask > 0.5).sum()
        assert made.mask[face == 1].mean() > (0.15 if name == "expression" else 0.4)


@pytest.mark.parametrize("name", NAMES)
def test_every_fake_can_be_seen(name, shots):
    for seed, (target, donor) in enumerate(itertools.pairwise(shots)):
        assert difference(target.image, make(name, target, donor, seed)) >= MIN_DIFFERENCE


@pytest.mark.parametrize("name", NAMES)
def test_strength_varies_with_the_generator_and_repeats_with_the_seed(name, shots):
    first, again, other = (make(name, shots[0], shots[1], seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.mask, again.mask)
    assert (first.image != other.image).any()


@pytest.mark.parametrize("name", NAMES)
def test_inputs_stay_as_they_are(name, shots):
    target, donor = shots[2], shots[3]
    before = [array.copy() for array in (*target, *donor)]
    make(name, target, donor)
    for array, copy in zip((*target, *donor), before, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize("name", NAMES)
def test_pictures_of_different_sizes_and_faces_at_the_frame_edge_work(name, shots):
    target, donor = shots[4], shots[5]
    low = np.floor(target.landmarks.min(0)).astype(int) + 4
    cut = drawn.Shot(target.image[low[1] :, low[0] :], target.landmarks - low)
    scale = np.array([300 / 192, 250 / 192])
    large = drawn.Shot(cv2.resize(donor.image, (300, 250)), donor.landmarks * scale)
    made = make(name, cut, large)
    assert made.image.shape == cut.image.shape
    assert difference(cut.image, made) >= MIN_DIFFERENCE


@pytest.mark.parametrize("name", ["affine_swap", "poisson_swap"])
def test_a_swap_with_oneself_is_refused(name, shots):
    with pytest.raises(DataError, match="same picture"):
        make(name, shots[0], shots[0])


def test_a_flat_picture_cannot_be_warped_visibly(shots):
    flat = drawn.Shot(np.full_like(shots[0].image, 90), shots[0].landmarks)
    with pytest.raises(DataError, match="flat"):
        make("expression", flat, shots[1])


def test_the_donor_s_landmarks_land_on_the_target_s(shots):
    target, donor = shots[0], shots[1]
    rows, columns = np.indices(donor.image.shape[:2])
    ramp = np.stack([columns, rows, columns], 2).astype(np.uint8)
    pair, _ = warps.around_face(target.image, target.landmarks, ramp, donor.landmarks)
    warped = warps.piecewise_affine(pair)
    for index in (8, 30, 36, 39, 42, 45, 48, 51, 54, 57):
        x, y = np.rint(pair.target_landmarks[index]).astype(int)
        np.testing.assert_allclose(warped[y, x, :2], donor.landmarks[index], atol=2.0)


def test_a_face_warped_onto_itself_stays(shots):
    pair, (x0, y0, x1, y1) = warps.around_face(*shots[0], *shots[0])
    warped = warps.piecewise_affine(pair).astype(int)
    assert np.abs(warped - shots[0].image[y0:y1, x0:x1]).max() <= 3


def test_expression_takes_no_pixel_from_the_donor(shots):
    target, donor = shots[0], shots[1]
    noise = np.random.default_rng(0).integers(0, 256, donor.image.shape, np.uint8)
    made, other = (
        make("expression", target, donor),
        make("expression", target, drawn.Shot(noise, donor.landmarks)),
    )
    np.testing.assert_array_equal(made.image, other.image)


def test_expression_leaves_forehead_cheeks_and_chin_alone(shots):
    for target, donor in itertools.pairwise(shots):
        mask = make("expression", target, donor).mask
        forehead = target.landmarks[[21, 22]].mean(0) - (0, 12)
        for x, y in np.rint([forehead, *target.landmarks[[2, 8, 14]]]).astype(int):
            assert mask[y, x] < 0.15
        for part in (geometry.MOUTH, geometry.LEFT_EYE, geometry.RIGHT_EYE):
            x, y = np.rint(target.landmarks[part].mean(0)).astype(int)
            assert mask[y, x] > 0.9


def test_a_displacement_moves_a_point_where_it_was_told_to(shots):
    landmarks = shots[0].landmarks.astype(np.float64)
    moved = np.zeros_like(landmarks)
    moved[geometry.MOUTH] = (3.0, -2.0)
    field, mask = warps.displacement(landmarks, moved, shots[0].image.shape[:2])
    x, y = np.rint(landmarks[51]).astype(int)
    np.testing.assert_allclose(field[y, x], (3.0, -2.0), atol=0.05)
    assert not field[mask == 0].any()
    spot = np.zeros_like(shots[0].image)
    cv2.circle(spot, (int(x), int(y)), 2, (255, 255, 255), -1)
    bright = np.argwhere(warps.displace(spot, field, 0 * mask, 1.0)[..., 0] > 128).mean(0)
    np.testing.assert_allclose(bright, (y - 2.0, x + 3.0), atol=0.3)


def test_the_coarse_level_has_the_stated_width_and_the_fine_one_is_the_picture():
    spot = np.zeros((41, 41, 3), np.uint8)
    spot[20, 20] = 255
    still = np.zeros((41, 41, 2), np.float32)
    fine = warps.displace(spot, still, np.zeros((41, 41), np.float32), 1.5)
    np.testing.assert_array_equal(fine, spot)
    coarse = warps.displace(spot, still, np.ones((41, 41), np.float32), 1.5)[20, :, 0]
    x = np.arange(41) - 20
    assert np.sqrt((coarse * x**2).sum() / coarse.sum()) == pytest.approx(1.5, abs=0.15)


def sharpness(made: manipulations.Manipulated) -> float:
    grey = cv2.cvtColor(made.image, cv2.COLOR_RGB2GRAY)
    return float(cv2.Laplacian(grey, cv2.CV_32F)[made.mask > 0.9].var())


def test_resynthesis_loses_detail_that_the_affine_swap_keeps(shots):
    pairs = list(itertools.pairwise(shots))
    swapped = [sharpness(make("affine_swap", *pair)) for pair in pairs]
    coded = [sharpness(make("resynthesis", *pair)) for pair in pairs]
    assert np.median(np.array(coded) / swapped) < 0.5


@pytest.mark.parametrize(("name", "sees"), [("poisson_swap", False), ("affine_swap", True)])
def test_only_poisson_blending_ignores_the_donor_s_brightness(name, sees, shots):
    target, donor = shots[0], shots[1]
    dim = donor.image // 2 + 40
    low, high = (drawn.Shot(dim + np.uint8(k), donor.landmarks) for k in (0, 50))
    made, other = make(name, target, low), make(name, target, high)
    changed = np.abs(made.image.astype(int) - other.image)[made.mask > 0.5].mean()
    assert (changed > 1.5) == sees


def test_swaps_keep_the_target_s_colours_at_the_edge_of_the_face(shots):
    """A dark face on a bright one: colour correction, transfer and Poisson all close the gap."""
    target, donor = shots[0], shots[1]
    dark = drawn.Shot(donor.image // 3, donor.landmarks)
    for name in SWAPS:
        made = make(name, target, dark, seed=3)
        inside = made.mask > 0.5
        pair, _ = warps.around_face(*target, *dark)
        pasted = np.abs(warps.piecewise_affine(pair).mean() - target.image[inside].mean())
        assert np.abs(made.image[inside].mean() - target.image[inside].mean()) < 0.6 * pasted
