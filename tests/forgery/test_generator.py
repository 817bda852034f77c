"""What holds of every generator, whatever it draws; a new one is tested by its name alone."""

import json
import typing

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iid_jax import geometry
from iid_jax.config import DataConfig, Forger, SelfBlendConfig, SwapConfig
from iid_jax.forgery import cross_blend, generator, hulls, masks, self_blend, swap

CANVAS = 112
NAMES = typing.get_args(Forger)
VARIED = settings(max_examples=12, deadline=None, derandomize=True)
SEEDS = st.integers(0, 2**32 - 1)
# Where a small face lies on the canvas: the middle and the four corners.
PLACES = [(0, 0), (-25, -25), (25, -25), (-25, 25), (25, 25)]


@pytest.fixture(scope="module")
def face(golden) -> np.ndarray:
    """A photographed face's landmarks on the canvas."""
    return golden("alignment")["aligned"][0] * CANVAS / 224


def texture(seed: int) -> np.ndarray:
    coarse = np.random.default_rng(seed).uniform(50, 200, (18, 18, 3)).astype(np.float32)
    return cv2.resize(coarse, (CANVAS, CANVAS)).astype(np.uint8)


def config(name: str, **values) -> DataConfig:
    """A configuration in which the generator makes a fake of its own at every call."""
    group = type(getattr(DataConfig(), name))
    if name == "swap":
        values = {"untouched": 0.0, "global_": 0.5, "partial": 0.5, "poisson": 0.0} | values
    return DataConfig(**{name: group(**values)})


def forged(name: str, landmarks, seed: int, **values):
    make = generator.create(name, config(name, **values))
    rng = np.random.default_rng(seed)
    return make(texture(0), texture(1), np.stack([landmarks, landmarks]), rng)


def background(made) -> np.ndarray:
    return texture(0) if made.genuine is None else made.genuine


@pytest.mark.parametrize("name", NAMES)
def test_every_name_of_the_config_is_a_file_with_settings(name):
    made = generator.create(name, DataConfig())
    assert made.settings == getattr(DataConfig(), name)
    assert made.source in typing.get_args(generator.Source)


@pytest.mark.parametrize("name", NAMES)
@VARIED
@given(seed=SEEDS, place=st.sampled_from(PLACES))
def test_outside_its_mask_a_fake_is_its_background_exactly(name, face, seed, place):
    small = (face - face.mean(axis=0)) * 0.6 + CANVAS / 2 + place
    made = forged(name, small, seed)
    outside = made.mask == 0
    assert outside.mean() > 0.3
    np.testing.assert_array_equal(made.image[outside], background(made)[outside])


@pytest.mark.parametrize("name", NAMES)
@VARIED
@given(seed=SEEDS, place=st.sampled_from(PLACES))
def test_mask_and_box_lie_on_the_face_wherever_it_is(name, face, seed, place):
    """(row, column) boxes and displaced masks fail off the diagonal."""
    small = (face - face.mean(axis=0)) * 0.6 + CANVAS / 2 + place
    made = forged(name, small, seed)
    hull = masks.face((CANVAS, CANVAS), small)
    reach = round(made.recipe["deform"] + made.recipe["feather"]) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    inside = made.mask >= 0.5
    assert inside.any()
    assert not inside[cv2.dilate(hull, disc) == 0].any()
    assert made.boxes[0].tolist() == [0.0, 0.0, 1.0, 1.0]
    for box in made.boxes[1:]:
        np.testing.assert_array_equal(box, masks.tight_box(made.mask))


@pytest.mark.parametrize("name", NAMES)
@VARIED
@given(seed=SEEDS)
def test_no_fake_is_pristine(name, face, seed):
    made = forged(name, face, seed)
    assert masks.grey_difference(background(made), made.image, made.mask) >= 2.0


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_makes_the_same_fake_and_its_recipe_redraws_it(name, face):
    pictures = texture(0), texture(1), np.stack([face, face])
    make = generator.create(name, config(name))
    # As it is kept: in a file.
    recipes = [json.loads(json.dumps(forged(name, face, seed).recipe)) for seed in (3, 3, 4)]
    first, again, other = (make.redraw(recipe, *pictures) for recipe in recipes)
    wanted = forged(name, face, 3)
    for made in (first, again):
        np.testing.assert_array_equal(made.image, wanted.image)
        np.testing.assert_array_equal(made.mask, wanted.mask)
        np.testing.assert_array_equal(made.boxes, wanted.boxes)
    assert (other.image != wanted.image).any()


@pytest.mark.parametrize("name", NAMES)
def test_a_null_fake_is_the_genuine_canvas_exactly(name, face):
    for seed in range(5):
        made = forged(name, face, seed, null=True)
        np.testing.assert_array_equal(made.image, texture(0))
        assert made.genuine is None or (made.genuine == texture(0)).all()
        assert (made.mask >= 0.5).any()


@pytest.mark.parametrize("name", NAMES)
def test_inputs_stay_as_they_were(name, face):
    genuine, manipulated, landmarks = texture(0), texture(1), np.stack([face, face])
    make = generator.create(name, config(name))
    for seed in range(4):
        make(genuine, manipulated, landmarks, np.random.default_rng(seed))
    np.testing.assert_array_equal(genuine, texture(0))
    np.testing.assert_array_equal(manipulated, texture(1))
    np.testing.assert_array_equal(landmarks, np.stack([face, face]))


@pytest.mark.parametrize("name", NAMES)
def test_landmarks_of_another_layout_are_refused(name):
    make = generator.create(name, DataConfig())
    with pytest.raises(ValueError, match=r"landmarks must be .* got \(5, 2\)"):
        make(texture(0), texture(1), np.zeros((5, 2)), np.random.default_rng(0))


def test_the_boundary_is_where_the_mask_is_half(face):
    made = forged("cross_blend", face, 0)
    expected = 1.0 - (2.0 * made.mask.astype(np.float64) - 1.0) ** 2
    np.testing.assert_allclose(made.boundary, expected, atol=1e-6)
    assert made.boundary.max() > 0.95
    assert made.boundary[made.mask == 0].max() == 0.0


# --- the swap behind the interface ----------------------------------------------------------------


def test_the_generator_swaps_as_the_function_does_with_the_same_draws(face):
    """Trained results depend on this stream: first the mode, then all the rest."""
    options, shifted = SwapConfig(), face + (3, 2)
    make = swap.Generator(options)
    modes = set()
    for seed in range(12):
        rng, again = np.random.default_rng(seed), np.random.default_rng(seed)
        made = make(texture(0), texture(1), np.stack([face, shifted]), rng)
        mode = swap.draw_mode(again, options)
        modes.add(mode)
        if mode == "untouched":
            np.testing.assert_array_equal(made.image, texture(1))
            assert made.mask is None
        else:
            alone = swap.swap(texture(0), texture(1), face, again, options, mode, shifted)
            np.testing.assert_array_equal(made.image, alone.image)
            np.testing.assert_array_equal(made.mask, alone.mask)
        assert rng.bit_generator.state == again.bit_generator.state
    assert len(modes) == 3


# --- self-blended images --------------------------------------------------------------------------


def test_self_blends_vary_in_hull_ratio_side_and_resolution(face):
    recipes = [forged("self_blend", face, seed).recipe for seed in range(80)]
    assert {r["hull"] for r in recipes} == set(hulls.VARIANTS)
    assert {r["ratio"] for r in recipes} == set(SelfBlendConfig().ratios)
    assert {r["changed"] for r in recipes} == {"source", "target"}
    assert {r["resolution"] for r in recipes} == {"half", "quarter", "sharper"}


def test_a_changed_background_comes_with_its_fake(face):
    """A genuine half that never shows the colour change would give the fake away by its colours."""
    for seed in range(20):
        made = forged("self_blend", face, seed)
        changed = (made.genuine != texture(0)).any()
        assert changed == (made.recipe["changed"] == "target")


def test_the_blend_ratio_weighs_the_mask(face):
    make = self_blend.Generator(SelfBlendConfig(ratios=(0.5,), min_difference=0.0))
    whole = self_blend.Generator(SelfBlendConfig(ratios=(1.0,), min_difference=0.0))
    for seed in range(4):
        half, full = (m(texture(0), None, face, np.random.default_rng(seed)) for m in (make, whole))
        np.testing.assert_array_equal(half.mask, full.mask)
        wanted = half.genuine + 0.5 * (full.image.astype(float) - half.genuine)
        np.testing.assert_allclose(half.image, wanted, atol=1.0)


def test_a_self_blend_needs_nobody_else(face):
    made = self_blend.Generator(SelfBlendConfig())(texture(0), None, face, np.random.default_rng(0))
    assert made.image.shape == (CANVAS, CANVAS, 3)


# --- across people --------------------------------------------------------------------------------


def test_the_donor_s_landmarks_land_on_the_target_s(face):
    """A spot at the donor's nose shows at the target's nose."""
    donor = texture(1)
    turned = geometry.transform_points(
        np.array([[0.95, -0.1, 8.0], [0.1, 0.95, -4.0], [0, 0, 1.0]]), face
    )
    x, y = np.rint(turned[30]).astype(int)
    donor[:] = 90
    donor[y - 2 : y + 3, x - 2 : x + 3] = 250
    values = {"colour": (0.0, 0.0), "min_difference": 0.0}
    make = generator.create("cross_blend", config("cross_blend", **values))
    flat = np.full_like(donor, 90)
    for seed in range(10):
        made = make(flat, donor, np.stack([turned, face]), np.random.default_rng(seed))
        weight = np.maximum(made.image[..., 0].astype(float) - 90, 0)
        rows, columns = np.indices(weight.shape)
        centre = (weight * columns).sum() / weight.sum(), (weight * rows).sum() / weight.sum()
        np.testing.assert_allclose(centre, face[30], atol=1.5)


def test_the_nearest_shape_ignores_place_and_size_but_not_the_turn_of_the_head(face):
    turned = face.copy()
    turned[:, 0] += 0.3 * (face[:, 1] - face[:, 1].mean())
    others = cross_blend.normalised(np.stack([turned, 0.5 * face + 40, face[::-1]]))
    assert cross_blend.nearest(cross_blend.normalised(face), others) == 1
