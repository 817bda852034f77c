"""Which cells the face covers, what stands in for absent ones, and verdicts on masked canvases."""

import numpy as np
import pytest

from iid_jax.data import canvas
from iid_jax.leakage.masked import CELLS, GRID, MaskedScores, baseline, cell_of_pixels, face_cells


@pytest.fixture(scope="module")
def picture(network, make_people):
    catalog = make_people({"p0": 1}, frames=1)
    return canvas.align(catalog.read(0), network.spec)


def test_cells_are_numbered_along_the_rows():
    cells = cell_of_pixels(56)
    assert cells[0, 0] == 0 and cells[0, -1] == 6 and cells[-1, 0] == 42 and cells[-1, -1] == 48
    assert (np.bincount(cells.ravel()) == 64).all()


def test_cells_of_a_side_that_7_does_not_divide_cover_everything():
    cells = cell_of_pixels(100)
    assert set(np.unique(cells).tolist()) == set(range(CELLS))


def test_the_face_is_in_the_middle_and_not_everywhere(picture, network):
    inside = face_cells(picture.landmarks, network.spec.size).reshape(GRID, GRID)
    assert inside[3, 3] and 9 <= inside.sum() < CELLS
    assert not inside[[0, 0, 6, 6], [0, 6, 0, 6]].any()
    points = picture.landmarks[27:36].astype(int)  # the nose is inside
    assert inside.ravel()[cell_of_pixels(network.spec.size)[points[:, 1], points[:, 0]]].all()


def test_the_mean_is_of_the_background_alone():
    image = np.zeros((56, 56, 3), np.uint8)
    inside = np.arange(CELLS) == 24
    image[inside[cell_of_pixels(56)]] = 200
    image[~inside[cell_of_pixels(56)]] = (10, 20, 30)
    assert (baseline(image, inside, "mean") == (10, 20, 30)).all()


def test_nothing_of_the_face_is_left_in_the_blur():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (112, 112, 3)).astype(np.uint8)
    blurred = baseline(image, np.zeros(CELLS, bool), "blur").astype(float)
    assert blurred.std() < 0.1 * image.std() and blurred.mean() == pytest.approx(
        image.mean(), abs=3
    )


def test_scores_are_those_of_pictures_masked_by_hand(network):
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (56, 56, 3)).astype(np.uint8)
    absent = baseline(image, np.arange(CELLS) == 24, "mean")
    sets = rng.random((21, CELLS)) < 0.5
    found = MaskedScores(network, batch_size=8)(image, absent, sets)
    shown = sets[:, cell_of_pixels(56)][..., None]
    expected = network(np.where(shown, image, absent).astype(np.uint8))["logit"]
    np.testing.assert_allclose(found, expected, atol=1e-5)
