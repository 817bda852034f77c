"""Augmentations: each does what it says, keeps what it must, and none shifts another's draws."""

import dataclasses

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iid_jax import geometry
from iid_jax.config import AugmentConfig
from iid_jax.data import augment

NAMES = list(augment.AUGMENTATIONS)
NONE = AugmentConfig(**dict.fromkeys((*NAMES, "flip"), 0.0))
SIZE = 112
VARIED = settings(max_examples=15, deadline=None, derandomize=True)


def picture(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(40, 210, (14, 14, 3)).astype(np.float32)
    smooth = cv2.resize(coarse, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
    return np.clip(smooth + rng.normal(0, 4, (SIZE, SIZE, 3)), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def labelled(golden) -> augment.Labelled:
    landmarks = golden("alignment")["aligned"][0] * SIZE / 224
    boxes = np.array([[0, 0, 1, 1], [0.1, 0.2, 0.4, 0.7]], np.float32)
    mask = np.zeros((SIZE, SIZE), np.float32)
    mask[22:78, 11:45] = 1.0
    return augment.Labelled(picture(), boxes, mask, landmarks)


def apply(name: str, seen: augment.Labelled, seed: int) -> augment.Labelled:
    return augment.AUGMENTATIONS[name](*seen, np.random.default_rng(seed), AugmentConfig())


def test_every_augmentation_has_a_probability_and_a_place_in_the_order():
    fields = {field.name for field in dataclasses.fields(AugmentConfig)}
    assert set(NAMES) <= fields
    assert sorted(augment._ORDER) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_it_changes_pixels_and_moves_nothing(name, labelled):
    changed = 0
    for seed in range(6):
        made = apply(name, labelled, seed)
        assert made.image.shape == labelled.image.shape and made.image.dtype == np.uint8
        assert made[1:] == labelled[1:] or all(
            a is b for a, b in zip(made[1:], labelled[1:], strict=True)
        )
        changed += (made.image != labelled.image).any()
    assert changed >= 5
    np.testing.assert_array_equal(labelled.image, picture())


@pytest.mark.parametrize("name", NAMES)
def test_the_same_draws_give_the_same_picture_and_others_another(name, labelled):
    first, again, other = (apply(name, labelled, seed).image for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert name == "half_resolution" or (first != other).any()


# A stretch of contrast saturates the spot; a table of grey levels moves nothing.
@pytest.mark.parametrize("name", [name for name in NAMES if name != "contrast"])
@VARIED
@given(seed=st.integers(0, 2**32 - 1), x=st.integers(30, 80), y=st.integers(30, 80))
def test_a_spot_stays_where_it_is(name, seed, x, y):
    """A one-sided motion blur, or a resize with another pixel centre, fails here."""
    image = np.full((SIZE, SIZE, 3), 60, np.uint8)
    spot = cv2.GaussianBlur(np.eye(1, SIZE * SIZE, y * SIZE + x).reshape(SIZE, SIZE), (0, 0), 4)
    image = np.rint(image + 170 * (spot / spot.max())[..., None]).astype(np.uint8)
    made = apply(name, augment.Labelled(image, None, None, None), seed).image.astype(float).sum(2)
    part = made[y - 16 : y + 17, x - 16 : x + 17]
    weight = np.maximum(part - (part.max() + np.median(part)) / 2, 0)
    rows, columns = np.mgrid[-16:17, -16:17]
    centre = (weight * columns).sum() / weight.sum(), (weight * rows).sum() / weight.sum()
    np.testing.assert_allclose(centre, 0.0, atol=1.2)


def test_flip_moves_pixels_boxes_masks_and_landmarks_alike(labelled):
    made = augment.flip(*labelled)
    np.testing.assert_array_equal(made.image, labelled.image[:, ::-1])
    np.testing.assert_array_equal(made.mask, labelled.mask[:, ::-1])
    x0, y0, x1, y1 = np.rint(made.boxes[1] * SIZE).astype(int)
    filled = np.zeros((SIZE, SIZE), bool)
    filled[y0:y1, x0:x1] = True
    np.testing.assert_array_equal(filled, made.mask > 0)
    wanted = geometry.mirror_landmarks(labelled.landmarks, SIZE)
    np.testing.assert_array_equal(made.landmarks, wanted)
    twice = augment.flip(*made)
    for first, second in zip(twice, labelled, strict=True):
        np.testing.assert_allclose(first, second, atol=1e-6)


def test_a_flip_without_a_mask_leaves_it_unknown(labelled):
    assert augment.flip(*labelled._replace(mask=None)).mask is None


def test_nothing_is_done_at_probability_zero_and_everything_at_one(labelled):
    kept = augment.augment(labelled, np.random.default_rng(0), NONE)
    assert all(a is b for a, b in zip(kept, labelled, strict=True))
    for name in NAMES:
        alone = dataclasses.replace(NONE, **{name: 1.0})
        made = augment.augment(labelled, np.random.default_rng(0), alone)
        assert (made.image != labelled.image).any(), name


def test_what_is_new_leaves_the_draws_of_the_others_as_they_were(labelled):
    """The published results' stream: six augmentations, drawn and applied in one order."""
    options = AugmentConfig()
    names = ("half_resolution", "saturation", "gamma", "blur", "noise", "jpeg")
    for seed in range(30):
        rng = np.random.default_rng(seed)
        wanted = labelled
        if rng.random() < options.flip:
            wanted = augment.flip(*wanted)
        for name in names:
            chosen, stream = rng.random() < getattr(options, name), rng.integers(2**63)
            if chosen:
                draws = np.random.default_rng(stream)
                wanted = augment.AUGMENTATIONS[name](*wanted, draws, options)
        made = augment.augment(labelled, np.random.default_rng(seed), options)
        np.testing.assert_array_equal(made.image, wanted.image)


def test_one_more_augmentation_does_not_change_what_another_draws(labelled):
    alone = dataclasses.replace(NONE, low_noise=1.0)
    both = dataclasses.replace(alone, half_resolution=1.0)
    first = augment.augment(labelled, np.random.default_rng(4), alone).image.astype(int)
    smaller = apply("half_resolution", labelled, 0)
    second = augment.augment(labelled, np.random.default_rng(4), both).image.astype(int)
    # The same smooth noise over two pictures.
    difference = (first - labelled.image) - (second - smaller.image)
    inside = (np.minimum(first, second) > 0) & (np.maximum(first, second) < 255)
    assert np.abs(difference[inside]).max() <= 1


@pytest.mark.parametrize("name", NAMES)
def test_augmentations_are_drawn_by_their_probability(name, labelled):
    options = dataclasses.replace(NONE, **{name: 0.3})
    seen = labelled._replace(image=picture()[:32, :32].copy())
    made = [augment.augment(seen, np.random.default_rng(k), options).image for k in range(300)]
    drawn = sum((image is not seen.image) for image in made)
    assert abs(drawn - 90) < 4 * np.sqrt(300 * 0.3 * 0.7)


def test_contrast_reaches_both_ends():
    flat = (picture() // 4 + 90).astype(np.uint8)
    for seed in range(5):
        made = apply("contrast", augment.Labelled(flat, None, None, None), seed).image
        assert (made.min(), made.max()) == (0, 255)


def test_contrast_leaves_a_flat_picture_alone():
    flat = np.full((SIZE, SIZE, 3), 77, np.uint8)
    np.testing.assert_array_equal(
        apply("contrast", augment.Labelled(flat, None, None, None), 0).image, flat
    )


def test_low_noise_is_smooth(labelled):
    grey = labelled._replace(image=np.full((SIZE, SIZE, 3), 128, np.uint8))
    for seed in range(5):
        noise = apply("low_noise", grey, seed).image.astype(float) - 128
        assert 1.5 < noise.std() < 25
        assert np.abs(np.diff(noise, axis=0)).mean() < 0.25 * noise.std()


def test_a_tint_mixes_the_colour_in():
    made = augment.tinted(picture(), np.array([100.0, 150.0, 200.0]), 0.2)
    wanted = 0.8 * picture().astype(float) + 0.2 * np.array([100.0, 150.0, 200.0])
    np.testing.assert_allclose(made, wanted, atol=0.51)


def test_alignments_have_the_published_distribution():
    rng = np.random.default_rng(0)
    drawn = [augment.draw_alignment(rng, AugmentConfig(), 0.9) for _ in range(2000)]
    scale = np.array([a.scale for a in drawn])
    assert scale.mean() == pytest.approx(0.9, abs=0.01)
    assert scale.std() == pytest.approx(0.1, abs=0.01)
    shift = np.array([a.shift for a in drawn])
    assert np.abs(shift).max() <= 25 < np.abs(shift).max() + 1
    rotation = np.abs([a.rotation for a in drawn])
    # |30 u^3| is below 30 / 8 for half of u in 0..1.
    assert np.mean(rotation < 30 / 8) == pytest.approx(0.5, abs=0.05)
    stretch = np.array([a.stretch for a in drawn])
    assert 0.97 <= stretch.min() < 0.972 and 1.028 < stretch.max() <= 1.03
