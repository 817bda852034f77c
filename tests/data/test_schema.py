"""The record: what goes in comes out, and damage is noticed."""

import dataclasses

import cv2
import numpy as np
import pytest

from iid_jax.data import schema
from iid_jax.errors import DataError


def face(scale=1.0, offset=0.0):
    """A face-like set of 68 points: only its box matters here."""
    rng = np.random.default_rng(0)
    points = rng.uniform(60, 130, (68, 2)).astype(np.float32)
    points[0], points[1] = (60, 60), (130, 130)
    return points * scale + offset


def smooth_picture(size):
    low = np.random.default_rng(1).integers(40, 215, (6, 6, 3), np.uint8)
    return cv2.resize(low, (size, size), interpolation=cv2.INTER_CUBIC)


def record(frame, landmarks, mask=None):
    return schema.make_record(
        frame, landmarks, mask, label=1, method="m", split="train", video_id="m/a_b", frame=3,
        identity="a", source_identity="b", pristine_id="original/a",
    )  # fmt: skip


def test_crop_is_a_square_of_2_6_landmark_boxes_inside_the_frame():
    x0, y0, x1, y1 = record(smooth_picture(400), face(offset=60.0)).crop
    assert abs((x1 - x0) - 2.6 * 70) <= 2 and abs((y1 - y0) - 2.6 * 70) <= 2


def test_stored_pixels_are_the_frames_within_the_compression():
    frame = smooth_picture(400)
    made = record(frame, face(offset=60.0))
    x0, y0, x1, y1 = made.crop
    difference = made.pixels().astype(int) - frame[y0:y1, x0:x1]
    assert np.abs(difference).mean() < 1.5


def test_large_crop_is_stored_at_512_with_its_landmarks_in_place():
    scale = 8.0
    made = record(smooth_picture(1700), face(scale))
    pixels = made.pixels()
    assert max(pixels.shape) == 512
    x0, y0, x1, _ = made.crop
    found = made.crop_landmarks(pixels.shape[:2])
    expected = (made.landmarks - (x0, y0) + 0.5) * 512 / (x1 - x0) - 0.5
    np.testing.assert_allclose(found, expected, atol=0.6)


def test_mask_is_stored_crop_aligned():
    mask = np.zeros((200, 200), np.float32)
    mask[90:110, 90:110] = 1.0
    made = record(smooth_picture(200), face(), mask)
    x0, y0, x1, y1 = made.crop
    np.testing.assert_array_equal(made.mask_pixels(), mask[y0:y1, x0:x1])


def test_changed_image_bytes_are_refused():
    made = record(smooth_picture(200), face())
    other = record(smooth_picture(180), face())
    damaged = dataclasses.replace(made, image=other.image)
    with pytest.raises(DataError, match="sha256"):
        damaged.pixels()
