"""The shortcut check: what it sees, what it must not see, and that it finds what is planted."""

import cv2
import numpy as np
import pytest

from iid_jax.data import schema
from iid_jax.evaluation import shortcuts
from iid_jax.evaluation.shortcuts import FEATURES, Evidence


def encoded(image: np.ndarray, quality: int, sampling: int) -> bytes:
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
    return cv2.imencode(".jpg", image, options)[1].tobytes()


@pytest.fixture
def picture():
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (12, 12, 3), np.uint8)
    return cv2.resize(coarse, (160, 144), interpolation=cv2.INTER_CUBIC)


def record(image: np.ndarray) -> schema.Record:
    landmarks = np.tile([80.0, 72.0], (68, 1)) + np.linspace(-40, 40, 68)[:, None]
    return schema.make_record(
        image, landmarks, label=0, method="original", split="test", video_id="v", frame=0,
        identity="p",
    )  # fmt: skip


def test_the_header_tells_quality_and_sampling_apart(picture):
    fine, coarse = (
        shortcuts.jpeg_header(encoded(picture, q, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444))
        for q in (95, 90)
    )
    assert coarse.luma > fine.luma > 0 and coarse.chroma > fine.chroma > 0
    assert fine.tables == coarse.tables == 2 and fine.sampling == coarse.sampling
    halved = encoded(picture, 95, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420)
    assert shortcuts.jpeg_header(halved).sampling != fine.sampling


def test_the_header_of_quality_50_is_the_standard_s_own_tables(picture):
    """ITU-T T.81, annex K.1: the tables add up to 3688 (luminance) and 5505 (chrominance)."""
    header = shortcuts.jpeg_header(encoded(picture, 50, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444))
    assert (header.luma, header.chroma) == (3688, 5505)


def test_a_png_has_no_jpeg_header(picture):
    png = cv2.imencode(".png", picture)[1].tobytes()
    assert shortcuts.jpeg_header(png) == (0, 0, 0, 0)


def test_outside_is_whole_blocks_farther_than_the_margin():
    mask = np.zeros((100, 90), np.float32)
    mask[50, 40] = 0.01
    away = shortcuts.outside(mask)
    expected = np.ones((100, 90), bool)
    # Pixels 34..66 by 24..56 are within 16 px: the blocks 32..72 by 24..64.
    expected[32:72, 24:64] = False
    np.testing.assert_array_equal(away, expected)


def test_nothing_is_outside_a_mask_that_fills_the_picture(picture):
    values = shortcuts.describe(record(picture), np.ones((144, 160), np.float32))
    assert np.isnan(values[FEATURES.index("outside_noise")])
    assert values[FEATURES.index("outside_share")] == 0


def test_pixels_inside_the_mask_change_the_file_size_and_nothing_else(picture):
    mask = np.zeros(picture.shape[:2], np.float32)
    mask[60:90, 60:100] = 1.0
    changed = picture.copy()
    changed[60:90, 60:100] = np.random.default_rng(1).integers(0, 256, (30, 40, 3))
    plain, other = (shortcuts.describe(record(image), mask) for image in (picture, changed))
    differing = {name for name, a, b in zip(FEATURES, plain, other, strict=True) if a != b}
    assert differing == {"file_size", "bytes_per_pixel"}


@pytest.mark.parametrize(
    ("planted", "feature"),
    [
        (lambda image: cv2.add(image, (4, 4, 4, 0)), "outside_mean_red"),
        (lambda image: cv2.GaussianBlur(image, (3, 3), 0.7), "outside_laplacian"),
    ],
)
def test_changes_outside_the_mask_are_described(picture, planted, feature):
    mask = np.zeros(picture.shape[:2], np.float32)
    place = FEATURES.index(feature)
    plain, other = (shortcuts.describe(record(i), mask) for i in (picture, planted(picture)))
    assert abs(other[place] / plain[place] - 1) > 0.01


def test_the_noise_level_is_the_noise_s_deviation():
    grey = 128 + 6 * np.random.default_rng(0).standard_normal((200, 200, 1))
    pixels = np.repeat(np.rint(grey), 3, 2).astype(np.uint8)
    everywhere = np.ones((200, 200), bool)
    values = shortcuts._statistics(pixels, shortcuts._maps(pixels), everywhere)
    assert values[shortcuts.STATISTICS.index("noise")] == pytest.approx(6.0, rel=0.03)


def evidence(people: int, frames: int, planted: float, seed: int = 0) -> Evidence:
    """Pairs of a genuine and a fake row; one feature of the fakes is shifted by `planted`."""
    rng = np.random.default_rng(seed)
    base = rng.standard_normal((people, 1, 6)) + 0.3 * rng.standard_normal((people, frames, 6))
    rows = np.repeat(base.reshape(-1, 6), 2, axis=0) + 0.1 * rng.standard_normal(
        (2 * people * frames, 6)
    )
    label = np.tile([1, 0], people * frames)
    rows[:, 2] += planted * label
    return Evidence(rows, label, np.repeat(np.arange(people).astype(str), 2 * frames))


def test_no_difference_is_measured_as_half():
    results = shortcuts.measure(evidence(60, 4, 0.0), bootstrap=100)
    assert set(results) == set(shortcuts.CLASSIFIERS)
    for metric in results.values():
        assert 0.44 < metric.value < 0.56 and metric.lo < metric.value < metric.hi
        assert metric.n_videos == 60


def test_a_planted_difference_is_found_by_both_classifiers():
    for metric in shortcuts.measure(evidence(60, 4, 4.0), bootstrap=100).values():
        assert metric.lo > 0.9


def test_people_are_never_recognised():
    """Labels that only the person decides: whoever is held out cannot be told."""
    one = evidence(40, 8, 0.0)
    label = (one.person.astype(int) % 2).astype(int)
    by_person = Evidence(one.features, label, one.person)
    for metric in shortcuts.measure(by_person, bootstrap=50).values():
        assert metric.value < 0.75


def test_features_that_are_missing_everywhere_are_no_error():
    one = evidence(30, 2, 4.0)
    one.features[:, 0] = np.nan
    for metric in shortcuts.measure(one, bootstrap=20).values():
        assert metric.value > 0.9
