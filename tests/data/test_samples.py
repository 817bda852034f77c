"""Samples as the trainer gets them: pairs of every generator, and what anchors make of fakes."""

import dataclasses
import typing

import cv2
import numpy as np
import pytest

from iid_jax import boxes as anchor_boxes
from iid_jax import geometry
from iid_jax.config import AugmentConfig, DataConfig, Forger, SwapConfig
from iid_jax.data import canvas, sampler, samples, schema
from iid_jax.forgery import masks

BATCH = 8
PROBABILITIES = ("flip", "half_resolution", "jpeg", "blur", "noise", "gamma", "saturation")
BLENDS = [name for name in typing.get_args(Forger) if name != "swap"]


@dataclasses.dataclass(frozen=True)
class Spec:
    """What a model with a 112 px canvas asks for."""

    size: int = 112
    face_width: float = 40.0
    scale: float = 0.9


def maker_of(catalog, **keys):
    config = DataConfig(**keys)
    draws = sampler.Sampler(catalog, config, BATCH, 500, seed=0)
    return draws, samples.SampleMaker(catalog, config, Spec(), 7)


@pytest.mark.parametrize("name", BLENDS)
def test_a_blend_and_its_genuine_picture_come_out_together(practice, name):
    draws, maker = maker_of(practice, forgery=(name,))
    for i in range(0, 24, 2):
        fake, genuine = maker.sample(draws[i]), maker.sample(draws[i + 1])
        assert (fake.label, genuine.label) == (schema.FAKE, schema.REAL)
        assert (fake.outcome, genuine.outcome) == (name, "genuine")
        assert fake.row == genuine.row
        np.testing.assert_array_equal(fake.landmarks, genuine.landmarks)
        assert len(fake.boxes) == 2 and not len(genuine.boxes)
        # The mask says where they differ, and so which anchors are ignored.
        assert maker.arrays(fake)["coverage"].max() > 0.5
        assert not maker.arrays(genuine)["coverage"].any()


@pytest.mark.parametrize("name", BLENDS)
def test_outside_the_mask_the_halves_of_a_pair_are_equal_before_augmentation(practice, name):
    nothing = AugmentConfig(**dict.fromkeys(PROBABILITIES, 0.0))
    draws, maker = maker_of(practice, forgery=(name,), augment=nothing)
    for i in range(0, 12, 2):
        fake, genuine = maker.sample(draws[i]), maker.sample(draws[i + 1])
        outside = fake.mask == 0
        np.testing.assert_array_equal(fake.image[outside], genuine.image[outside])
        assert masks.grey_difference(fake.image, genuine.image, fake.mask) >= 2.0


@pytest.mark.parametrize("name", BLENDS)
def test_a_pair_is_the_same_in_any_order_and_alone(practice, name):
    """The last pair is kept for its other half; that must show nowhere."""
    draws, maker = maker_of(practice, forgery=(name,))
    ordered = [maker(draws[i]) for i in range(6)]
    alone = [samples.SampleMaker(practice, maker.config, Spec(), 7)(draws[i]) for i in range(6)]
    backwards = [maker(draws[i]) for i in reversed(range(6))][::-1]
    for first, second, third in zip(ordered, alone, backwards, strict=True):
        for key in first:
            np.testing.assert_array_equal(first[key], second[key])
            np.testing.assert_array_equal(first[key], third[key])


def test_donors_across_people_are_other_people_with_near_landmarks(practice):
    draws, _ = maker_of(practice, forgery=("cross_blend",))
    person, shapes = practice.columns["identity"], practice.columns["landmarks"]
    nearer = []
    rng = np.random.default_rng(0)
    genuine = practice.select("train", label=schema.REAL)
    for i in range(0, 80, 2):
        draw = draws[i]
        assert practice.columns["label"][draw.partner] == schema.REAL
        assert person[draw.row] != person[draw.partner]
        chosen, other = draw.partner, rng.choice(genuine)
        distance = [
            geometry.alignment_disagreement(shapes[draw.row], _onto(shapes[row], shapes[draw.row]))
            for row in (chosen, other)
        ]
        nearer.append(distance[0] <= distance[1])
    assert np.mean(nearer) > 0.8


def _onto(points, target):
    return geometry.transform_points(geometry.similarity(points, target), points)


def test_a_mix_draws_every_generator_as_often_and_halves_every_batch(practice):
    names = ("swap", *BLENDS)
    draws, maker = maker_of(practice, forgery=names)
    drawn = [draws[i] for i in range(0, 1200, 2)]
    counts = [sum(d.forgery == name for d in drawn) for name in names]
    # Four standard deviations of a binomial of 600 draws at 1/3.
    assert max(abs(n - 200) for n in counts) < 4 * np.sqrt(600 * 2 / 9)
    labels = [maker(draws[i])["label"] for i in range(BATCH * 2)]
    assert labels == [1, 0] * BATCH


def test_blends_alone_train_on_genuine_pictures_alone(practice):
    draws, _ = maker_of(practice, forgery=("self_blend",))
    label = practice.columns["label"]
    assert {int(label[draws[i].row]) for i in range(100)} == {schema.REAL}


def test_a_forgery_that_cannot_be_seen_stays_genuine_and_is_counted(practice):
    config = DataConfig(forgery=("self_blend",))
    floor = dataclasses.replace(config.self_blend, min_difference=255.0)
    draws, maker = maker_of(practice, forgery=("self_blend",), self_blend=floor)
    sample = maker.sample(draws[0])
    assert (sample.outcome, sample.label) == ("no_forgery", schema.REAL)
    assert not len(sample.boxes)


# --- a fake and its pristine frame on one canvas --------------------------------------------------

WHOLE = SwapConfig(untouched=0.0, global_=1.0, partial=0.0, min_difference=0.0)


class TwoRecords:
    """As much of a catalog as a swap reads: a fake and its pristine frame."""

    def __init__(self, practice, pristine_size=1.0, moved=0.0, seed=0):
        rng = np.random.default_rng(seed)
        points = practice.read(0).landmarks.astype(np.float64)
        points = 140 + 320 * (points - points.min(axis=0)) / np.ptp(points, axis=0).max()
        side = int(np.ceil(points.max())) + 160
        noise = rng.integers(0, 256, (side, side, 3)).astype(np.float32)
        frame = np.clip(128 + 8 * (cv2.GaussianBlur(noise, (0, 0), 3) - 128), 0, 255)
        other = cv2.resize(frame, None, fx=pristine_size, fy=pristine_size)
        # Each frame's landmarks were found anew.
        found = points + rng.uniform(-3.0, 3.0, points.shape) + moved
        found = (found + 0.5) * pristine_size - 0.5
        columns = {"method": "swap", "split": "train", "identity": "i", "frame": 0}
        self.records = [
            schema.make_record(image.astype(np.uint8), at, label=label, video_id="v", **columns)
            for image, at, label in ((frame, points, 1), (other, found, 0))
        ]

    def read(self, row):
        return self.records[row]


@pytest.mark.parametrize("pristine_size", [1.0, 0.5])
def test_pixels_of_a_large_fake_and_its_pristine_frame_lie_on_each_other(practice, pristine_size):
    """Each crop is shrunk by a factor of its own: one alignment must hold for both."""
    for seed in range(4):
        pair = TwoRecords(practice, pristine_size, seed=seed)
        assert all(len(record.pixels()) == 512 or pristine_size < 1 for record in pair.records)
        maker = samples.SampleMaker(pair, DataConfig(swap=WHOLE), Spec(), 7)
        sample = maker.sample(sampler.Draw(0, 1, (seed,)))
        assert sample.outcome == "global"
        assert displacement(sample.genuine, sample.manipulated) < 0.05


def displacement(first, second) -> float:
    """How far the second picture is moved against the first, in pixels."""
    grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32) for image in (first, second)]
    window = cv2.createHanningWindow(grey[0].shape[::-1], cv2.CV_32F)
    return float(np.hypot(*cv2.phaseCorrelate(*grey, window)[0]))


def test_a_frame_whose_face_is_elsewhere_is_no_pristine_frame(practice):
    pair = TwoRecords(practice, moved=40.0)
    maker = samples.SampleMaker(pair, DataConfig(swap=WHOLE), Spec(), 7)
    assert maker.sample(sampler.Draw(0, 1, (0,))).outcome == "mispaired"


# --- what the anchors make of a thousand partial fakes --------------------------------------------


@pytest.fixture(scope="module")
def thousand(practice):
    """Scales, local positives (1000, A), and location targets of partial fakes."""
    only = SwapConfig(untouched=0.0, global_=0.0, partial=1.0)
    draws, maker = maker_of(practice, swap=only)
    found = []
    element = 0
    while len(found) < 1000:
        sample = maker.sample(draws[element])
        element = (element + 2) % len(draws)
        if sample.outcome.startswith("partial"):
            found.append(sample)
    arrays = [maker.arrays(sample) for sample in found]
    boxes, valid = (np.stack([a[k] for a in arrays]) for k in ("boxes", "boxes_valid"))
    match = anchor_boxes.match(boxes, valid, maker.anchors, 0.5)
    local = np.asarray(anchor_boxes.local_mask(len(maker.anchors)), bool)
    positive = np.asarray(match.positive) & local
    scales = np.array([sample.recipe["scale"] for sample in found])
    return scales, positive, np.asarray(match.deltas), maker


@pytest.mark.long
def test_most_positives_of_partial_fakes_have_a_location_to_learn(thousand):
    _, positive, targets, _ = thousand
    moved = np.abs(targets[positive]).max(axis=1) > 1e-3
    assert moved.mean() >= 0.7


@pytest.mark.long
def test_every_scale_makes_a_fifth_of_the_partial_fakes(thousand):
    shares = np.bincount(thousand[0], minlength=3) / 1000
    assert shares.min() >= 0.2, shares


@pytest.mark.long
def test_every_cell_within_the_mean_hull_is_positive_at_least_once(thousand, practice):
    assert not len(missed_cells(thousand, practice))


def missed_cells(fakes, practice) -> np.ndarray:
    """Cells (row, column) of the 7x7 map that no fake makes positive, of those within the hull.

    At least three quarters within the mean hull: windows lie in it, so its rim is met rarely.
    """
    rows = practice.select("train", label=schema.REAL)[::7]
    faces = [canvas.align(practice.read(row), Spec()).landmarks for row in rows]
    hull = masks.face((112, 112), np.mean(faces, axis=0))
    within = hull.reshape(7, 16, 7, 16).mean(axis=(1, 3)) >= 0.75
    assert within.sum() >= 20
    # Two anchors to a cell, the map of 7x7 first.
    seen = fakes[1][:, :98].any(axis=0).reshape(7, 7, 2).any(axis=2)
    return np.argwhere(within & ~seen)
