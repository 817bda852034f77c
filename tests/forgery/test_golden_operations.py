"""Operations on the host against the reference implementation's numbers, where those are right.

`tests/golden/host_ops.npz` holds numbers of its run: no pictures. DSSIM and the alignment have
theirs in `test_masks.py` and `test_geometry.py`.
"""

import hashlib

import numpy as np
import pytest

from iid_jax import boxes
from iid_jax.data import augment
from iid_jax.forgery import hulls, masks, swap


@pytest.fixture(scope="module")
def numbers(golden):
    return golden("host_ops")


@pytest.mark.parametrize("case", range(3))
def test_the_hull_of_the_landmarks_is_the_published_one(numbers, case):
    landmarks, corners = numbers[f"hull{case}_landmarks"], numbers[f"hull{case}"]
    wanted = masks.polygon(corners, (317, 317))
    np.testing.assert_array_equal(hulls.skin(landmarks, (317, 317)), wanted)


def test_gamma_is_the_published_table_of_the_inverse_exponent(numbers):
    """It raises to 1 / g and truncates; ours raises to g and rounds: one level apart."""
    for value, wanted in zip(numbers["gamma_values"], numbers["gamma_lut"], strict=True):
        table = augment.gamma_table(1.0 / value).astype(int)
        assert np.abs(table - wanted).max() <= 1


@pytest.mark.parametrize("case", range(8))
def test_motion_runs_along_the_published_line_but_about_the_middle(numbers, case):
    """The reference's line starts in the middle and so shifts the picture by half its length."""
    angle, length = numbers["motion_params"][case]
    one_sided = numbers[f"motion{case}_kernel"]
    rows, columns = np.nonzero(one_sided)
    line = np.stack([columns, rows], 1).astype(float)
    kernel = augment.motion_kernel(angle, length)
    assert kernel.sum() == pytest.approx(1.0, abs=1e-6)
    cells = np.arange(len(kernel)) - len(kernel) // 2
    np.testing.assert_allclose([kernel.sum(0) @ cells, kernel.sum(1) @ cells], 0.0, atol=1e-6)
    # The spread of the published line about its own middle, within the rounding to whole pixels.
    x, y = np.meshgrid(cells, cells)
    spread = np.sqrt([(kernel * x**2).sum(), (kernel * y**2).sum()])
    np.testing.assert_allclose(spread, line.std(axis=0), atol=0.75)


def integers(seed: str) -> np.random.Generator:
    return np.random.default_rng(int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "big"))


def test_the_window_that_differs_most_is_the_published_one(numbers):
    """On random maps, over positions a fifth of the picture apart; the first of the best."""
    checked = 0
    names = zip(numbers["sliding_seeds"], numbers["sliding_kinds"], strict=True)
    for (seed, kind), published in zip(names, numbers["sliding"], strict=True):
        height, width, rows, columns, top, left, _, _ = (int(v) for v in published)
        if kind != "rand" or rows > height or columns > width:
            continue
        total = swap._integral(integers(str(seed)).random((height, width)))
        sums = swap._sums(total, columns, rows, 1)[:: height // 5, :: width // 5]
        row, column = np.unravel_index(sums.argmax(), sums.shape)
        assert (row * (height // 5), column * (width // 5)) == (top, left)
        checked += 1
    assert checked > 20


def test_anchors_of_published_boxes_are_the_published_ones(numbers, golden):
    """Fed in the reference's own order of coordinates, right or wrong."""
    given = numbers["label_boxes"].astype(np.float32) / 224
    matched = boxes.match(given, numbers["label_valid"], golden("anchors")["priors"], 0.5)
    positive = numbers["label_positive"]
    np.testing.assert_array_equal(np.asarray(matched.positive), positive)
    deltas = np.asarray(matched.deltas)[positive]
    np.testing.assert_allclose(deltas, numbers["label_loc"][positive], atol=2e-5)
