"""Corruptions against the published parameters, computed another way."""

import cv2
import numpy as np
import pytest

from iid_jax.data import corrupt
from iid_jax.data.corrupt import KINDS, Corruption
from iid_jax.errors import UsageError


@pytest.fixture(scope="module")
def picture():
    """A smooth coloured picture without values near 0 or 255, 256 px wide."""
    rng = np.random.default_rng(0)
    small = rng.uniform(90, 170, (9, 9, 3)).astype(np.float32)
    return np.rint(cv2.resize(small, (256, 288), interpolation=cv2.INTER_CUBIC)).astype(np.uint8)


def apply(kind, level, image, seed=0):
    return Corruption(kind, level)(image, np.random.default_rng(seed))


def ycc(image):
    """Full-range BT.601 as the standard writes it."""
    r, g, b = np.moveaxis(image.astype(float), -1, 0)
    luma = 0.299 * r + 0.587 * g + 0.114 * b
    return np.stack([luma, (b - luma) / 1.772, (r - luma) / 1.402], -1)


PUBLISHED = {
    "saturation": (0.4, 0.3, 0.2, 0.1, 0.0),
    "contrast": (0.85, 0.725, 0.6, 0.475, 0.35),
    "block": (16, 32, 48, 64, 80),
    "noise": (0.001, 0.002, 0.005, 0.01, 0.05),
    "blur": (7, 9, 13, 17, 21),
    "pixelation": (2, 3, 4, 5, 6),
    "codec": (30, 32, 35, 38, 40),
}
EVERY = [(kind, level) for kind in PUBLISHED for level in range(1, 6)]


def test_kinds_and_levels_are_those_published():
    assert {name: kind.parameters for name, kind in KINDS.items()} == PUBLISHED


@pytest.mark.parametrize(("kind", "level"), EVERY)
def test_a_corruption_keeps_the_shape_is_seeded_and_leaves_its_input_alone(picture, kind, level):
    odd = picture[:91, :77]
    before = odd.copy()
    made = apply(kind, level, odd)
    assert made.shape == odd.shape and made.dtype == np.uint8 and (odd == before).all()
    assert (apply(kind, level, odd) == made).all()
    assert (made != odd).any()


@pytest.mark.parametrize("level", range(1, 6))
def test_saturation_multiplies_the_colour_differences_and_keeps_the_luma(picture, level):
    before, after = ycc(picture), ycc(apply("saturation", level, picture))
    expected = before * (1, PUBLISHED["saturation"][level - 1], PUBLISHED["saturation"][level - 1])
    assert np.abs(after - expected).max() < 1.2


@pytest.mark.parametrize("level", range(1, 6))
def test_contrast_multiplies_the_values(picture, level):
    expected = np.rint(picture.astype(float) * PUBLISHED["contrast"][level - 1])
    assert (apply("contrast", level, picture) == expected).all()


@pytest.mark.parametrize("level", range(1, 6))
def test_blocks_are_grey_squares_in_the_published_number(picture, level):
    changed = (apply("block", level, picture) == 128).all(-1) & (picture != 128).any(-1)
    count = PUBLISHED["block"][level - 1]
    # Some of them overlap.
    assert 0.6 * count * 64 < changed.sum() <= count * 64
    assert (apply("block", level, picture)[~changed] == picture[~changed]).all()


def test_half_the_side_has_half_the_blocks_and_a_small_crop_at_least_one(picture):
    assert corrupt.block(picture[:128, :128], 16, np.random.default_rng(0)).shape == (128, 128, 3)
    changed = (corrupt.block(picture[:128, :128], 16, np.random.default_rng(0)) == 128).all(-1)
    assert 4 * 64 < changed.sum() <= 8 * 64 + 20
    assert (corrupt.block(picture[:12, :12], 16, np.random.default_rng(0)) == 128).any()


@pytest.mark.parametrize("level", range(1, 5))
def test_noise_has_the_published_variance_in_studio_range_luma_and_chroma(picture, level):
    grey = np.full((512, 512, 3), 128, np.uint8)
    difference = ycc(apply("noise", level, grey)) - ycc(grey)
    studio = difference[..., 0] * 219 / 255 / 255
    # Rounding to whole values adds 1/12 of a squared step; clipping takes a little.
    assert studio.var() == pytest.approx(PUBLISHED["noise"][level - 1], rel=0.06)
    for chroma, gain in ((1, 0.564), (2, 0.713)):
        scaled = (
            difference[..., chroma] * gain * (1.772 if chroma == 1 else 1.402) * 224 / 255 / 255
        )
        assert scaled.var() == pytest.approx(PUBLISHED["noise"][level - 1], rel=0.08)
    assert abs(difference.mean()) < 0.3


@pytest.mark.parametrize("level", range(1, 6))
def test_blur_spreads_a_point_by_a_sixth_of_the_kernel(level):
    kernel = PUBLISHED["blur"][level - 1]
    point = np.zeros((101, 101, 3), np.uint8)
    point[50] = 255
    profile = apply("blur", level, point)[:, 50, 0].astype(float)
    place = np.arange(101) - 50
    distance = np.arange(-(kernel // 2), kernel // 2 + 1)
    weights = np.exp(-0.5 * (distance / (kernel / 6)) ** 2)
    expected = np.zeros(101)
    expected[50 + distance] = 255 * weights / weights.sum()
    assert np.abs(profile - expected).max() <= 1.5
    assert (profile[np.abs(place) > kernel // 2] == 0).all()


@pytest.mark.parametrize("level", range(1, 6))
def test_pixelation_is_bilinear_down_and_up_by_the_factor(picture, level):
    factor = PUBLISHED["pixelation"][level - 1]
    size = (256 // factor, 288 // factor)
    expected = cv2.resize(cv2.resize(picture, size), (256, 288))
    assert (apply("pixelation", level, picture) == expected).all()


def test_codec_loses_more_at_every_level():
    rng = np.random.default_rng(0)
    rough = np.clip(rng.normal(128, 40, (96, 96, 1)) + np.zeros(3), 0, 255)
    rough = cv2.GaussianBlur(rough.astype(np.uint8), (3, 3), 0.8)
    lost = [np.square(apply("codec", n, rough) - rough.astype(float)).mean() for n in range(1, 6)]
    assert (np.diff(lost) > 0).all()


def test_parsing_names_kinds_levels_and_mistakes():
    assert corrupt.parse("blur:3,noise")[:2] == [Corruption("blur", 3), Corruption("noise", 1)]
    assert len(corrupt.parse("all")) == 35
    assert corrupt.parse("blur:3,all")[0] == Corruption("blur", 3)
    assert set(corrupt.parse("blur:3,all")) == set(corrupt.parse("all"))
    with pytest.raises(UsageError, match="did you mean 'blur'"):
        corrupt.parse("blurr")
    with pytest.raises(UsageError, match="level must be 1 to 5"):
        corrupt.parse("blur:6")


def test_a_corrupted_catalog_differs_in_pixels_alone_whatever_the_order(practice):
    rows = practice.select("test")[:3]
    corrupted = corrupt.CorruptedCatalog(practice, Corruption("noise", 2), seed=1)
    pictures = [corrupted.read(row).pixels() for row in rows]
    again = [corrupted.read(row).pixels() for row in rows[::-1]][::-1]
    for row, picture, same in zip(rows, pictures, again, strict=True):
        record = practice.read(row)
        assert (picture == same).all() and (picture != record.pixels()).any()
        assert corrupted.read(row).video_id == record.video_id
        assert (corrupted.read(row).landmarks == record.landmarks).all()
    other = corrupt.CorruptedCatalog(practice, Corruption("noise", 2), seed=2)
    assert (other.read(rows[0]).pixels() != pictures[0]).any()
    assert corrupted.name == practice.name and len(corrupted) == len(practice)


def test_codec_is_for_data_sets_of_videos(practice):
    assert "not made from videos" in corrupt.unsuitable("codec", practice)
    assert corrupt.unsuitable("blur", practice) == ""
