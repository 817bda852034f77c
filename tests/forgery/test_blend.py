"""Alpha and Poisson blending: what changes, where, and in which colours."""

import itertools

import cv2
import numpy as np
import pytest

from iid_jax.faces import landmarks, media
from iid_jax.forgery import blend, manipulations, masks

SIZE = (90, 120)
# Centre and corners of the picture, as (x0, y0, x1, y1); the last four touch its edge.
PLACES = [
    (45, 30, 80, 60),
    (5, 4, 40, 30),
    (85, 50, 118, 86),
    (0, 0, 30, 25),
    (95, 0, 120, 30),
    (0, 65, 30, 90),
    (90, 60, 120, 90),
]


def picture(seed: int, low: int = 60, high: int = 190) -> np.ndarray:
    """A smooth picture with room for brighter and darker ones."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(low, high, (6, 8, 3)).astype(np.float32)
    grain = rng.normal(0.0, 3.0, (*SIZE, 3))
    smooth = cv2.resize(coarse, SIZE[::-1], interpolation=cv2.INTER_LINEAR)
    return np.clip(np.rint(smooth + grain), 0, 255).astype(np.uint8)


def both(method: str, background, foreground, mask) -> np.ndarray:
    if method == "alpha":
        return blend.alpha(background, foreground, mask)
    return blend.poisson(background, foreground, mask).image


@pytest.mark.parametrize("method", ["alpha", "poisson"])
@pytest.mark.parametrize("place", PLACES)
def test_outside_the_mask_the_background_stays(method, place):
    background, foreground = picture(0), picture(1)
    mask = masks.feather(masks.window(place, SIZE), 3.0)
    composite = both(method, background, foreground, mask)
    np.testing.assert_array_equal(composite[mask == 0], background[mask == 0])
    inside = mask > 0.999
    assert (composite[inside] != background[inside]).mean() > 0.8


@pytest.mark.parametrize("method", ["alpha", "poisson"])
def test_blending_does_not_change_its_inputs(method):
    background, foreground = picture(0), picture(1)
    mask = masks.feather(masks.window(PLACES[0], SIZE), 3.0)
    before = background.copy(), foreground.copy(), mask.copy()
    both(method, background, foreground, mask)
    for array, copy in zip((background, foreground, mask), before, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_alpha_mixes_by_the_mask_and_rounds():
    background, foreground = np.full((1, 4, 3), 10, np.uint8), np.full((1, 4, 3), 21, np.uint8)
    mask = np.array([[0.0, 0.3, 0.75, 1.0]])
    assert blend.alpha(background, foreground, mask)[0, :, 0].tolist() == [10, 13, 18, 21]


def test_alpha_over_a_darker_face_does_not_wrap_around():
    background, foreground = np.full((1, 1, 3), 255, np.uint8), np.zeros((1, 1, 3), np.uint8)
    assert (blend.alpha(background, foreground, np.ones((1, 1))) == 0).all()


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("offset", [-40, 0, 40])
def test_poisson_of_the_background_in_any_brightness_is_the_background(place, offset):
    background = picture(2)
    foreground = (background.astype(int) + offset).astype(np.uint8)
    mask = masks.feather(masks.window(place, SIZE), 3.0)
    composite, fell_back = blend.poisson(background, foreground, mask)
    assert not fell_back
    np.testing.assert_array_equal(composite, background)


def test_poisson_is_the_least_squares_solution():
    """Against a dense solve over every pair of neighbours, on an irregular mask.

    A box of 7 x 8 needs no room for its sine transform: its surroundings are fixed at once.
    """
    rng = np.random.default_rng(0)
    background, foreground = (rng.integers(90, 160, (9, 10, 3), np.uint8) for _ in range(2))
    mask = np.zeros((9, 10), np.float32)
    mask[1:8, 1:9] = rng.random((7, 8)) < 0.7
    mask[1, 1] = mask[7, 8] = 1.0
    unknown = np.full((9, 10), -1)
    unknown[1:8, 1:9] = np.arange(56).reshape(7, 8)
    change = foreground.astype(float) - background
    rows, targets = [], []
    for pixel in np.ndindex(9, 10):
        for step in ((0, 1), (1, 0)):
            other = (pixel[0] + step[0], pixel[1] + step[1])
            if other[0] == 9 or other[1] == 10:
                continue
            row = np.zeros(57)
            row[unknown[other]] += 1.0
            row[unknown[pixel]] -= 1.0
            rows.append(row[:56])
            both_inside = mask[pixel] > 0 and mask[other] > 0
            targets.append(change[other] - change[pixel] if both_inside else np.zeros(3))
    solved = np.linalg.lstsq(np.array(rows), np.array(targets), rcond=None)[0]
    wanted = background.astype(float)
    wanted[1:8, 1:9] += solved.reshape(7, 8, 3) * mask[1:8, 1:9, None]
    assert np.abs(both("poisson", background, foreground, mask) - wanted).max() <= 0.501


def test_poisson_looks_like_opencv_s():
    """OpenCV fixes the colours a little farther out, and truncates."""
    background, foreground = picture(5), picture(6)
    mask = cv2.ellipse(np.zeros(SIZE, np.float32), (60, 45), (35, 28), 20, 0, 360, 1.0, -1)
    support = cv2.dilate(mask, np.ones((7, 7))).astype(np.uint8) * 255
    x, y, width, height = cv2.boundingRect(support)
    centre = (x + width // 2, y + height // 2)
    theirs = cv2.seamlessClone(foreground, background, support, centre, cv2.NORMAL_CLONE)
    ours = both("poisson", background, foreground, mask).astype(float)
    pasted = both("alpha", background, foreground, mask).astype(float)
    inside = mask > 0
    distance = np.abs(ours - theirs)[inside].mean()
    assert distance < 0.3 * np.abs(pasted - theirs)[inside].mean()
    assert np.corrcoef(ours[inside].ravel(), theirs[inside].ravel())[0, 1] > 0.98


def faded(background, foreground, mask) -> np.ndarray:
    """OpenCV's blend of all pixels with any mask, faded out by the mask as ours is."""
    support = (mask > 0).astype(np.uint8) * 255
    x, y, width, height = cv2.boundingRect(support)
    centre = (x + width // 2, y + height // 2)
    cloned = cv2.seamlessClone(foreground, background, support, centre, cv2.NORMAL_CLONE)
    return blend.alpha(background, cloned, mask)


def test_poisson_of_real_faces_is_opencv_s_within_three_grey_levels(shared_data):
    """For what the swap blends: a fake and its pristine frame, which differ little at the edge.

    OpenCV takes its gradients from 3 px farther in, and truncates.
    """
    pytest.importorskip("dlib", reason="the [faces] extra is not installed")
    find, rng, faces, apart = landmarks.DlibLandmarker(), np.random.default_rng(0), [], []
    for person in sorted((shared_data / "lfw").iterdir())[:60:6]:
        image = media.read_image(min(person.glob("*.jpg")))
        faces += [(image, found.landmarks) for found in find(image)[:1]]
    for target, donor in itertools.pairwise(faces):
        for manipulate in manipulations.MANIPULATIONS.values():
            fake = manipulate(*target, *donor, rng).image
            hull = masks.face(fake.shape[:2], target[1])
            hull *= masks.window((9, 9, hull.shape[1] - 9, hull.shape[0] - 9), hull.shape)
            mask = masks.feather(masks.deform(hull, rng, 3.0), rng.uniform(2.0, 7.0))
            ours = blend.poisson(target[0], fake, mask).image.astype(float)
            difference = np.abs(ours - faded(target[0], fake, mask))
            apart.append((difference.max(axis=2)[mask > 0] <= 3.0).mean())
    assert len(apart) >= 32 and np.mean(apart) > 0.95, apart


@pytest.mark.parametrize("place", PLACES)
def test_poisson_leaves_the_face_where_it_was(place):
    """The reference's swapped centre, or the canvas's in place of the mask's, moves it."""
    background = picture(3)
    x, y = (place[0] + place[2]) // 2, (place[1] + place[3]) // 2
    foreground = background.copy()
    foreground[y - 2 : y + 3, x - 4 : x + 5] = 255
    mask = masks.feather(masks.window(place, SIZE), 3.0)
    changed = np.abs(both("poisson", background, foreground, mask).astype(int) - background)
    rows, columns = np.nonzero(changed.max(axis=2) > 30)
    assert rows.min() >= y - 3
    assert rows.max() <= y + 3
    assert columns.min() >= x - 5
    assert columns.max() <= x + 5
    assert len(rows) >= 35


@pytest.mark.parametrize("place", PLACES)
def test_poisson_reaches_the_picture_s_edge(place):
    """OpenCV leaves the outer pixels of a mask at the edge as they were."""
    background = np.full((*SIZE, 3), 128, np.uint8)
    stripes = np.where(np.indices(SIZE).sum(axis=0) % 8 < 4, 90, 170).astype(np.uint8)
    mask = masks.window(place, SIZE)
    composite = both("poisson", background, np.repeat(stripes[..., None], 3, 2), mask)
    x0, y0, x1, y1 = place
    for edge in (np.s_[y0, x0:x1], np.s_[y1 - 1, x0:x1], np.s_[y0:y1, x0], np.s_[y0:y1, x1 - 1]):
        assert np.abs(composite[edge].astype(int) - 128).max() > 15


@pytest.mark.parametrize("shape", [(11, 17), (12, 18), (11, 18), (40, 60)])
def test_poisson_moves_no_gradient_by_a_pixel_for_odd_and_even_masks(shape):
    background, foreground = np.full((*SIZE, 3), 128, np.uint8), picture(4)
    height, width = shape
    mask = masks.window((31, 22, 31 + width, 22 + height), SIZE)
    composite = both("poisson", background, foreground, mask).astype(float)
    inner = np.s_[24 : 20 + height, 33 : 29 + width]
    errors = {
        (dy, dx): np.abs(
            np.diff(composite[inner], axis=1)
            - np.diff(np.roll(foreground, (dy, dx), (0, 1))[inner].astype(float), axis=1)
        ).mean()
        for dy in (-1, 0, 1)
        for dx in (-1, 0, 1)
    }
    assert min(errors, key=errors.get) == (0, 0)
    assert errors[0, 0] < 1.0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_poisson_takes_float_masks(dtype):
    """The reference hands OpenCV a float mask, which raises, and hides it as alpha."""
    mask = masks.window(PLACES[0], SIZE).astype(dtype)
    assert not blend.poisson(picture(0), picture(1), mask).fell_back


@pytest.mark.parametrize("seed", range(20))
def test_poisson_never_falls_back_on_masks_inside_the_picture(seed):
    rng = np.random.default_rng(seed)
    x, y = rng.integers(1, SIZE[1] - 1), rng.integers(1, SIZE[0] - 1)
    mask = cv2.ellipse(
        np.zeros(SIZE, np.float32),
        (int(x), int(y)),
        tuple(int(v) for v in rng.integers(0, 60, 2)),
        float(rng.uniform(0, 180)),
        0,
        360,
        1.0,
        -1,
    )
    assert not blend.poisson(picture(0), picture(1), masks.feather(mask, 2.0)).fell_back


def test_poisson_without_any_area_falls_back_and_says_so():
    composite, fell_back = blend.poisson(picture(0), picture(1), np.zeros(SIZE, np.float32))
    assert fell_back
    np.testing.assert_array_equal(composite, picture(0))
