"""The batches: half and half, paired, seeded, the same for any worker count, resumable."""

import collections
import dataclasses
import multiprocessing
import os

import cv2
import numpy as np
import pytest

from iid_jax.config import AugmentConfig, DataConfig, SwapConfig
from iid_jax.data import pipeline, sampler, samples, schema
from iid_jax.errors import DataError
from iid_jax.leakage.subsets import Part

BATCH, STEPS = 8, 4


@dataclasses.dataclass(frozen=True)
class Spec:
    """What a model with a 112 px canvas asks for."""

    size: int = 112
    face_width: float = 40.0
    scale: float = 0.9


def batches(catalog, seed=0, **keys):
    config = DataConfig(**keys)
    return pipeline.train_iterator(catalog, config, Spec(), 7, BATCH, STEPS, seed)


def assert_same(first, second):
    assert first.keys() == second.keys()
    for key in first:
        np.testing.assert_array_equal(first[key], second[key], err_msg=key)


def test_batch_is_half_fake_half_genuine_with_the_contracted_arrays(practice):
    batch = next(batches(practice))
    assert batch["image"].shape == (BATCH, 112, 112, 3) and batch["image"].dtype == np.uint8
    assert batch["label"].tolist() == [1, 0] * (BATCH // 2)
    assert batch["boxes"].shape == (BATCH, 2, 4) and batch["coverage"].shape == (BATCH, 168)
    assert not batch["boxes_valid"][batch["label"] == 0].any()
    assert batch["boxes_valid"][batch["label"] == 1, 0].all()
    assert (batch["coverage"][batch["label"] == 0] == 0).all()


def test_same_seed_gives_the_same_batches_and_another_seed_others(practice):
    first, again, other = batches(practice), batches(practice), batches(practice, seed=1)
    batch = next(first)
    assert_same(batch, next(again))
    assert (batch["image"] != next(other)["image"]).any()


@pytest.mark.parametrize("workers", [1, 2])
def test_worker_processes_give_the_same_batches_as_none(practice, workers):
    for alone, together in zip(batches(practice), batches(practice, workers=workers), strict=True):
        assert_same(alone, together)


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_go_on_from_any_number_with_any_workers(practice, workers):
    expected = list(batches(practice))[2:]
    rest = batches(practice, workers=workers)
    next(rest)
    rest.seek(2)
    for wanted, found in zip(expected, rest, strict=True):
        assert_same(wanted, found)


def test_worker_process_that_is_killed_is_told_in_a_line_and_the_next_is_no_end(practice):
    feed = pipeline.train_iterator(practice, DataConfig(workers=1), Spec(), 7, BATCH, 200, 0)
    next(feed)
    (worker,) = multiprocessing.active_children()
    worker.kill()
    with pytest.raises(DataError, match=r"exit code -9.*goes on from the newest checkpoint"):
        collections.deque(feed, maxlen=0)
    assert next(feed)
    feed.close()


def test_worker_process_that_dies_before_it_went_on_is_told_too(practice, monkeypatch):
    monkeypatch.setattr(pipeline, "_start_worker", _die)
    feed = batches(practice, workers=1)
    feed.seek(1)
    with pytest.raises(DataError, match="exit code 1"):
        next(feed)


def _die(index, count):
    os._exit(1)


def test_two_processes_share_the_batch_of_one(practice):
    whole = next(batches(practice))
    halves = [
        next(pipeline.train_iterator(practice, DataConfig(), Spec(), 7, BATCH, STEPS, 0, i, 2))
        for i in range(2)
    ]
    joined = {key: np.concatenate([half[key] for half in halves]) for key in whole}
    assert_same(whole, joined)


def draws(catalog, count=400, **keys):
    source = sampler.Sampler(catalog, DataConfig(**keys), 8, count // 8, seed=0)
    return [source[i] for i in range(count)]


def test_paired_genuine_is_the_pristine_frame_of_the_fake(practice):
    drawn = draws(practice)
    for fake, genuine in zip(drawn[::2], drawn[1::2], strict=True):
        assert genuine.row == fake.partner
        for column in ("frame", "identity"):
            values = practice.columns[column]
            assert values[fake.row] == values[genuine.row]
        assert practice.columns["label"][genuine.row] == schema.REAL


def test_a_fake_and_its_pristine_frame_are_jittered_and_augmented_alike(practice):
    config = DataConfig(swap=SwapConfig(untouched=0.0, global_=0.0, partial=1.0))
    maker = samples.SampleMaker(practice, config, Spec(), 7)
    drawn = draws(practice, count=64, swap=config.swap)
    apart = []
    for fake, genuine in zip(drawn[::2], drawn[1::2], strict=True):
        fake, genuine = maker.sample(fake), maker.sample(genuine)
        if fake.outcome == "partial":
            outside = cv2.dilate(fake.mask, np.ones((9, 9))) == 0
            apart.append(cv2.absdiff(fake.image, genuine.image)[outside].mean())
    assert len(apart) > 20 and max(apart) < 1.0


def test_people_pairing_keeps_the_person_and_not_the_frame(practice):
    drawn = draws(practice, pairing="people")
    identity = practice.columns["identity"]
    assert all(
        identity[f.row] == identity[g.row] for f, g in zip(drawn[::2], drawn[1::2], strict=True)
    )
    assert any(f.partner != g.row for f, g in zip(drawn[::2], drawn[1::2], strict=True))


def test_independent_pairing_mixes_people(practice):
    drawn = draws(practice, pairing="independent")
    identity = practice.columns["identity"]
    same = [
        identity[f.row] == identity[g.row] for f, g in zip(drawn[::2], drawn[1::2], strict=True)
    ]
    assert np.mean(same) < 0.3


@pytest.mark.parametrize("pairing", ["paired", "people"])
def test_genuine_pictures_for_want_of_a_pair_are_told_and_counted(practice, pairing):
    half = Part(practice, practice.select("train", label=schema.REAL)[::2])
    identity = practice.columns["identity"]
    left = set(half.select("train", label=schema.REAL).tolist())
    people = {identity[row] for row in left}
    drawn = draws(half, pairing=pairing)
    for fake, genuine in zip(drawn[::2], drawn[1::2], strict=True):
        has_one = fake.partner in left if pairing == "paired" else identity[fake.row] in people
        assert genuine.unpaired is not has_one and genuine.row in left
    maker = samples.SampleMaker(half, DataConfig(pairing=pairing), Spec(), 7)
    told = {draw.unpaired: maker.sample(draw).outcome for draw in drawn[1::2]}
    assert told == {False: "genuine", True: "unpaired"}


@pytest.mark.parametrize("pairing", ["paired", "people"])
def test_a_pairing_that_no_fake_can_have_is_refused(practice, pairing):
    with pytest.raises(DataError, match=r"pairing='\w+' finds no.*pairing=independent"):
        draws(Part(practice, genuine_of_targets_and_fakes_of_others(practice)), pairing=pairing)


def genuine_of_targets_and_fakes_of_others(catalog):
    """Training rows without which nobody is both genuine and a target."""
    rows = catalog.select("train")
    identity, label = catalog.columns["identity"][rows], catalog.columns["label"][rows]
    others = np.isin(identity, np.unique(identity)[:3])
    return rows[np.where(label == schema.REAL, ~others, others)]


def test_manipulations_are_drawn_evenly_and_without_leaves_one_out(practice):
    methods = practice.columns["method"]
    everything = [methods[d.row] for d in draws(practice, 1600)[::2]]
    shares = [everything.count(name) / len(everything) for name in practice.methods("train")]
    assert len(shares) == 4 and min(shares) > 0.18 and max(shares) < 0.32
    left = {methods[d.row] for d in draws(practice, without=("expression",))[::2]}
    assert left == set(practice.methods("train")) - {"expression"}


QUIET = AugmentConfig(
    flip=0.0, half_resolution=0.0, jpeg=0.0, blur=0.0, noise=0.0, gamma=0.0, saturation=0.0
)


@pytest.mark.parametrize(("poisson", "tolerance"), [(0.0, 1), (1.0, 2)])
@pytest.mark.parametrize("augment", [QUIET, AugmentConfig(noise=0.0, jpeg=0.0)])
def test_null_swap_is_the_genuine_sample_under_the_same_stream(
    practice, poisson, tolerance, augment
):
    swap = SwapConfig(untouched=0.0, global_=0.5, partial=0.5, poisson=poisson, null=True)
    config = DataConfig(swap=swap, augment=augment)
    maker = samples.SampleMaker(practice, config, Spec(), 7)
    source = sampler.Sampler(practice, config, 8, 4, seed=0)
    compared = 0
    for draw in [source[i] for i in range(0, 32, 2)]:
        null = maker.sample(draw)
        genuine = maker.sample(draw._replace(row=draw.partner, partner=-1))
        assert null.outcome in ("global", "partial") and len(null.boxes) >= 1
        difference = np.abs(null.image.astype(int) - genuine.image)
        # A grey level before the augmentations may become several after a gamma or a stretch.
        limit = tolerance if augment is QUIET else 3 * tolerance
        assert difference.max() <= limit
        compared += 1
    assert compared == 16


ALIKE = SwapConfig(untouched=0.0, global_=0.5, partial=0.5, min_difference=15.0)


def retried(catalog, **keys):
    """Draws of fakes whose own frame cannot be swapped, each with what is made of it."""
    config = DataConfig(swap=ALIKE)
    source = sampler.Sampler(catalog, config, 8, 40, seed=0)
    alone = samples.SampleMaker(catalog, config, Spec(), 7, other_frames=0)
    draws = [source[i] for i in range(0, 320, 2)]
    draws = [draw for draw in draws if alone.sample(draw).outcome == "too_alike"]
    maker = samples.SampleMaker(catalog, config, Spec(), 7, **keys)
    return [(draw, maker.sample(draw)) for draw in draws]


def test_faces_that_hardly_differ_are_swapped_in_another_frame_of_their_pair(practice):
    found = retried(practice)
    elsewhere = [(draw, made) for draw, made in found if made.outcome.endswith("_elsewhere")]
    assert elsewhere and {made.outcome for _, made in found} <= {
        "global_elsewhere",
        "partial_elsewhere",
        "too_alike",
    }
    columns = practice.columns
    for draw, made in elsewhere:
        assert made.row != draw.row
        for column in ("video_id", "face", "split"):
            assert columns[column][made.row] == columns[column][draw.row]
        assert columns["frame"][made.row] != columns["frame"][draw.row]
        assert made.recipe["difference"] >= ALIKE.min_difference
        assert len(made.boxes) == (2 if made.outcome.startswith("partial") else 1)


def test_a_pair_that_differs_in_no_frame_stays_untouched_and_is_counted(practice):
    left = [(draw, made) for draw, made in retried(practice) if made.outcome == "too_alike"]
    assert left
    for draw, made in left:
        assert made.row == draw.row and made.boxes.tolist() == [[0.0, 0.0, 1.0, 1.0]]
        assert made.recipe == {}


@pytest.mark.parametrize("workers", [1, 2])
def test_swaps_in_other_frames_are_the_same_for_any_worker_count(practice, workers):
    names = set()
    together = batches(practice, swap=ALIKE, workers=workers)
    for alone, batch in zip(batches(practice, swap=ALIKE), together, strict=True):
        assert_same(alone, batch)
        names |= {samples.OUTCOMES[i] for i in batch["outcome"]}
    assert names & {"too_alike", "global_elsewhere", "partial_elsewhere"}


def test_every_outcome_but_the_fallbacks_occurs_and_is_counted(practice):
    outcomes = np.concatenate([b["outcome"] for b in batches(practice)])
    names = {samples.OUTCOMES[i] for i in outcomes}
    assert names >= {"genuine", "global", "partial"}
    assert not names & {"no_partner", "mispaired"}


def test_evaluation_yields_every_row_once_and_pads_the_last_batch(practice):
    rows = practice.select("test")[:13]
    seen = list(pipeline.eval_batches(practice, rows, Spec(), 5))
    valid = np.concatenate([b["valid"] for b in seen])
    records = np.concatenate([b["record"] for b in seen])
    assert records[valid].tolist() == rows.tolist()
    assert [len(b["label"]) for b in seen] == [5, 5, 5] and not valid[-2:].any()
