"""The multi-scale facial swap: planted artifacts are boxed where they are, and nothing else is."""

import collections
import dataclasses
import json

import cv2
import numpy as np
import pytest

from iid_jax import geometry
from iid_jax.config import SwapConfig
from iid_jax.forgery import masks, swap

CANVAS = 112
ALPHA, POISSON = SwapConfig(poisson=0.0), SwapConfig(poisson=1.0)
# Where a small face lies on the canvas: the middle and the four corners.
PLACES = {
    "centre": (0, 0),
    "top left": (-25, -25),
    "top right": (25, -25),
    "bottom left": (-25, 25),
    "bottom right": (25, 25),
}


@pytest.fixture(scope="module")
def landmarks(golden) -> np.ndarray:
    """A photographed face's landmarks on the canvas."""
    return golden("alignment")["aligned"][0] * CANVAS / 224


def small(landmarks: np.ndarray, place: str) -> np.ndarray:
    centred = (landmarks - landmarks.mean(axis=0)) * 0.6
    return centred + CANVAS / 2 + PLACES[place]


def texture(seed: int, canvas: int = CANVAS) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(50, 200, (canvas // 6, canvas // 6, 3)).astype(np.float32)
    return cv2.resize(coarse, (canvas, canvas)).astype(np.uint8)


def make(seed: int, landmarks, settings=ALPHA, mode="partial", **pictures) -> swap.Forgery:
    genuine = pictures.get("genuine", texture(0))
    manipulated = pictures.get("manipulated", texture(1))
    rng = np.random.default_rng(seed)
    forged = swap.swap(genuine, manipulated, landmarks, rng, settings, mode)
    assert forged is not None
    return forged


# --- where the artifact is -----------------------------------------------------------------------


@pytest.mark.parametrize("place", PLACES)
def test_the_box_surrounds_what_alpha_changed(landmarks, place):
    """(row, column) boxes, or a mask displaced by a tenth of the face, fail off the diagonal."""
    black, white = np.zeros((CANVAS, CANVAS, 3), np.uint8), texture(1) // 2 + 127
    for seed in range(6):
        forged = make(seed, small(landmarks, place), genuine=black, manipulated=white)
        changed = forged.image.max(axis=2) >= np.rint(white.max(axis=2) / 2)
        wanted = masks.tight_box(changed) * CANVAS
        np.testing.assert_allclose(forged.boxes[1] * CANVAS, wanted, atol=1.01)


@pytest.mark.parametrize("place", PLACES)
def test_the_box_surrounds_what_poisson_changed(landmarks, place):
    for seed in range(6):
        forged = make(seed, small(landmarks, place), POISSON)
        changed = np.abs(forged.image.astype(int) - texture(0)).max(axis=2) > 5
        x0, y0, x1, y1 = np.rint(forged.boxes[1] * CANVAS).astype(int)
        reach = int(np.ceil(forged.recipe["feather"]))
        around = np.s_[max(y0 - reach, 0) : y1 + reach, max(x0 - reach, 0) : x1 + reach]
        assert changed[y0:y1, x0:x1].mean() > 0.5
        changed[around] = False
        assert not changed.any()


@pytest.mark.parametrize("place", PLACES)
def test_every_box_of_a_face_in_a_corner_is_in_that_corner(landmarks, place):
    face = small(landmarks, place)
    hull = geometry.hull(face) / CANVAS
    for seed in range(10):
        box = make(seed, face).boxes[1]
        assert (box[:2] >= hull.min(axis=0) - 0.05).all()
        assert (box[2:] <= hull.max(axis=0) + 0.05).all()


@pytest.mark.parametrize("point", [36, 45, 30, 57, 4, 12])
def test_an_artifact_at_one_landmark_is_boxed_there(landmarks, point):
    genuine = texture(0)
    manipulated = genuine.copy()
    x, y = np.rint(landmarks[point] + 0.1 * (landmarks[30] - landmarks[point])).astype(int)
    spot = np.s_[max(y - 4, 0) : y + 5, max(x - 4, 0) : x + 5]
    manipulated[spot] = 255 - manipulated[spot]
    for seed in range(8):
        forged = make(seed, landmarks, genuine=genuine, manipulated=manipulated)
        x0, y0, x1, y1 = forged.boxes[1] * CANVAS
        assert x0 - 5 <= x <= x1 + 5
        assert y0 - 5 <= y <= y1 + 5


@pytest.mark.parametrize("mode", ["global", "partial"])
def test_the_first_box_is_the_whole_canvas(landmarks, mode):
    boxes = make(0, landmarks, mode=mode).boxes
    assert boxes[0].tolist() == [0.0, 0.0, 1.0, 1.0]
    assert len(boxes) == (2 if mode == "partial" else 1)
    assert boxes.dtype == np.float32


# --- what is pasted ------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["global", "partial"])
@pytest.mark.parametrize("settings", [ALPHA, POISSON], ids=["alpha", "poisson"])
def test_outside_the_mask_the_composite_is_the_pristine_canvas(landmarks, mode, settings):
    for seed in range(5):
        forged = make(seed, landmarks, settings, mode)
        outside = forged.mask == 0
        assert outside.mean() > 0.1
        np.testing.assert_array_equal(forged.image[outside], texture(0)[outside])


@pytest.mark.parametrize("mode", ["global", "partial"])
def test_inside_the_mask_the_composite_is_the_manipulated_face(landmarks, mode):
    """Not the genuine face over the fake frame, as two fifths of the reference's fakes are."""
    for seed in range(5):
        forged = make(seed, landmarks, mode=mode)
        inside = forged.mask > 0.999
        assert inside.sum() > 100
        difference = np.abs(forged.image.astype(int) - texture(1))
        assert difference[inside].max() <= 1


def test_a_global_mask_is_about_the_hull(landmarks):
    hull = masks.face((CANVAS, CANVAS), landmarks)
    for seed in range(10):
        mask = make(seed, landmarks, mode="global").mask >= 0.5
        overlap = (mask * hull).sum() / np.maximum(mask, hull).sum()
        assert 0.75 < overlap < 1.0


def test_pristine_landmarks_widen_the_hull(landmarks):
    settings = dataclasses.replace(ALPHA, deform=0.0)
    shifted = landmarks + (12, 0)
    args = (texture(0), texture(1), landmarks)
    alone = swap.swap(*args, np.random.default_rng(0), settings, "global")
    both = swap.swap(*args, np.random.default_rng(0), settings, "global", shifted)
    added = (both.mask > 0.5) & (alone.mask <= 0.5)
    assert (both.mask >= alone.mask - 1e-6).all()
    assert added.sum() > 200


def test_the_inputs_stay_as_they_were(landmarks):
    genuine, manipulated = texture(0), texture(1)
    make(0, landmarks, POISSON, genuine=genuine, manipulated=manipulated)
    np.testing.assert_array_equal(genuine, texture(0))
    np.testing.assert_array_equal(manipulated, texture(1))


# --- windows -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def windows(landmarks) -> list[swap.Forgery]:
    return [make(seed, landmarks) for seed in range(150)]


def test_the_scales_are_equally_frequent(windows):
    counts = np.bincount([forged.recipe["scale"] for forged in windows], minlength=3)
    # Three standard deviations of a binomial of 150 draws at 1/3.
    assert (np.abs(counts - 50) < 3 * np.sqrt(150 * 2 / 9)).all()


def test_windows_have_the_jittered_sides_of_their_scale_both_ways_up(windows):
    low, high = ALPHA.window_jitter
    upright = 0
    for forged in windows:
        x0, y0, x1, y1 = forged.recipe["window"]
        sides = np.array([x1 - x0, y1 - y0]) * 224 / CANVAS
        scale = np.array(ALPHA.scales[forged.recipe["scale"]])
        fits = [
            (scale * low - 1 <= s).all() and (s <= scale * high + 1).all()
            for s in (sides, sides[::-1])
        ]
        assert any(fits)
        upright += y1 - y0 > x1 - x0
    assert 45 < upright < 105


def test_windows_lie_on_their_grid_inside_the_canvas(windows):
    for forged in windows:
        x0, y0, x1, y1 = forged.recipe["window"]
        assert x0 % 4 == y0 % 4 == 0
        assert 0 <= x0 < x1 <= CANVAS
        assert 0 <= y0 < y1 <= CANVAS


def test_windows_lie_enough_inside_the_hull(windows, landmarks):
    hull = masks.face((CANVAS, CANVAS), landmarks)
    for forged in windows:
        x0, y0, x1, y1 = forged.recipe["window"]
        assert hull[y0:y1, x0:x1].mean() >= ALPHA.hull_overlap


def test_windows_are_not_all_at_one_place(windows):
    assert len({forged.recipe["window"][:2] for forged in windows}) > 40


def test_small_windows_meet_the_rim_of_the_face_as_often_as_its_middle(landmarks):
    """Where all positions differ alike, each cell of 16 px with a position is as likely."""
    hull, rng = masks.face((CANVAS, CANVAS), landmarks), np.random.default_rng(0)
    integrals, side = (cv2.integral(hull, sdepth=cv2.CV_64F),) * 2, 24
    starts = range(0, CANVAS - side + 1, 4)
    enough = [
        ((y + side / 2) // 16, (x + side / 2) // 16)
        for y in starts
        for x in starts
        if hull[y : y + side, x : x + side].mean() >= ALPHA.hull_overlap
    ]
    met = collections.Counter()
    for _ in range(200 * len(set(enough))):
        x0, y0, x1, y1 = swap._draw_window(integrals, side, side, rng, ALPHA)
        met[(y0 + y1) / 2 // 16, (x0 + x1) / 2 // 16] += 1
    assert met.keys() == set(enough) and len(met) > 25
    # Four and a half deviations of a Poisson number around 200; of positions some have a sixteenth.
    assert min(met.values()) > 136 and max(met.values()) < 264


def test_a_window_differs_nearly_as_much_as_the_best(windows, landmarks):
    """Against a direct search over all positions of the same window."""
    hull = masks.face((CANVAS, CANVAS), landmarks)
    difference = masks.difference(texture(0), texture(1))
    for forged in windows[:20]:
        x0, y0, x1, y1 = forged.recipe["window"]
        width, height = x1 - x0, y1 - y0

        def mean(x, y, width=width, height=height):
            part = np.s_[y : y + height, x : x + width]
            enough = hull[part].mean() >= ALPHA.hull_overlap
            return difference[part][hull[part] > 0].mean() if enough else 0.0

        best = max(
            mean(x, y)
            for x in range(0, CANVAS - width + 1, 4)
            for y in range(0, CANVAS - height + 1, 4)
        )
        assert mean(x0, y0) >= ALPHA.dssim_share * best - 1e-6


# --- nothing pristine under a fake label ---------------------------------------------------------


@pytest.mark.parametrize("mode", ["global", "partial"])
def test_equal_faces_are_not_swapped(landmarks, mode):
    rng = np.random.default_rng(0)
    assert swap.swap(texture(0), texture(0), landmarks, rng, SwapConfig(), mode) is None


def test_a_difference_outside_the_face_is_no_manipulation(landmarks):
    manipulated = texture(0)
    face = small(landmarks, "bottom right")
    manipulated[:30, :30] = 255 - manipulated[:30, :30]
    for mode in ("global", "partial"):
        rng = np.random.default_rng(0)
        assert swap.swap(texture(0), manipulated, face, rng, SwapConfig(), mode) is None


def test_every_fake_differs_visibly_inside_its_mask(landmarks):
    """Only one cheek was changed: of the windows drawn, some would show nothing."""
    manipulated = texture(0)
    x, y = np.rint(landmarks[3] + (8, 0)).astype(int)
    manipulated[y - 6 : y + 6, x - 6 : x + 6] = 128
    settings = dataclasses.replace(SwapConfig(), min_difference=5.0)
    made = redrawn = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        forged = swap.swap(texture(0), manipulated, landmarks, rng, settings, "partial")
        if forged is None:
            continue
        made, redrawn = made + 1, redrawn + (forged.recipe["redraws"] > 0)
        change = np.abs(texture(0).astype(float) - forged.image)[forged.mask >= 0.5].mean()
        assert change >= 5.0
        assert forged.recipe["difference"] == pytest.approx(change, abs=1e-5)
    assert made > 5
    assert redrawn > 0


def test_a_face_off_the_canvas_is_not_swapped(landmarks):
    for mode in ("global", "partial"):
        rng = np.random.default_rng(0)
        args = (texture(0), texture(1), landmarks + 500, rng, SwapConfig(), mode)
        assert swap.swap(*args) is None


# --- null swaps ----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["global", "partial"])
@pytest.mark.parametrize("settings", [ALPHA, POISSON], ids=["alpha", "poisson"])
def test_a_null_swap_gives_the_genuine_canvas_exactly(landmarks, mode, settings):
    """So that nothing but the manipulation tells a swap from a genuine canvas."""
    null = dataclasses.replace(settings, null=True)
    for seed in range(10):
        forged = make(seed, landmarks, null, mode)
        np.testing.assert_array_equal(forged.image, texture(0))
        assert (forged.mask >= 0.5).any()
        assert len(forged.boxes) == (2 if mode == "partial" else 1)


# --- draws and recipes ---------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["global", "partial"])
def test_the_same_seed_makes_the_same_fake_bit_for_bit(landmarks, mode):
    settings = SwapConfig()
    first, again, other = (make(seed, landmarks, settings, mode) for seed in (5, 5, 6))
    for name in ("image", "boxes", "mask"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert first.recipe == again.recipe
    assert (first.image != other.image).any()


@pytest.mark.parametrize("place", PLACES)
def test_poisson_never_falls_back(landmarks, place):
    face = (landmarks - CANVAS / 2) + CANVAS / 2 + PLACES[place]
    for seed in range(6):
        for mode in ("global", "partial"):
            recipe = make(seed, face, POISSON, mode).recipe
            assert recipe["poisson_fallbacks"] == 0
            assert recipe["blend"] == "poisson"


def test_both_blends_are_drawn_by_their_probability(landmarks):
    blends = [make(seed, landmarks, SwapConfig()).recipe["blend"] for seed in range(60)]
    assert 15 < blends.count("poisson") < 45


@pytest.mark.parametrize("mode", ["global", "partial"])
def test_a_recipe_is_plain_values(landmarks, mode):
    recipe = make(0, landmarks, mode=mode).recipe
    assert recipe["mode"] == mode
    assert set(json.loads(json.dumps(recipe))) == {
        *("mode", "blend", "feather", "deform", "window", "scale"),
        *("difference", "redraws", "poisson_fallbacks"),
    }


@pytest.mark.parametrize("canvas", [64, 112, 224])
def test_lengths_scale_with_the_canvas(landmarks, canvas):
    scaled = landmarks * canvas / CANVAS
    for seed in range(10):
        pictures = {"genuine": texture(0, canvas), "manipulated": texture(1, canvas)}
        recipe = make(seed, scaled, **pictures).recipe
        x0, y0, x1, y1 = recipe["window"]
        share = np.sort([x1 - x0, y1 - y0]) / canvas * 224
        low, high = np.array(ALPHA.scales[recipe["scale"]]) * 0.75, 1.34 * 160
        assert (share >= low - 224 / canvas).all()
        assert (share <= high).all()
        assert recipe["feather"] <= ALPHA.feather * canvas / 224


def test_modes_are_drawn_by_their_probabilities():
    rng = np.random.default_rng(0)
    drawn = [swap.draw_mode(rng, SwapConfig()) for _ in range(3000)]
    for mode, chance in (("untouched", 0.2), ("global", 0.4), ("partial", 0.4)):
        # Four standard deviations of a binomial.
        deviation = np.sqrt(3000 * chance * (1 - chance))
        assert abs(drawn.count(mode) - 3000 * chance) < 4 * deviation


@pytest.mark.parametrize("mode", ["untouched", "global", "partial"])
def test_a_mode_of_probability_one_is_always_drawn(mode):
    chances = {"untouched": 0.0, "global_": 0.0, "partial": 0.0}
    chances["global_" if mode == "global" else mode] = 1.0
    rng = np.random.default_rng(0)
    assert {swap.draw_mode(rng, SwapConfig(**chances)) for _ in range(200)} == {mode}


def test_an_untouched_fake_is_not_for_swapping(landmarks):
    with pytest.raises(ValueError, match="'global' or 'partial', got 'untouched'"):
        make(0, landmarks, mode="untouched")


def test_canvases_of_two_sizes_are_refused(landmarks):
    with pytest.raises(ValueError, match=r"\(112, 112, 3\) and \(64, 64, 3\)"):
        make(0, landmarks, manipulated=texture(1, 64))
