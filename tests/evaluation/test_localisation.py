"""Found boxes, false boxes and pairs, against boxes and masks known by construction."""

import numpy as np
import pytest

from iid_jax.config import DataConfig, SwapConfig
from iid_jax.data import canvas
from iid_jax.evaluation import localisation
from iid_jax.evaluation.localisation import Operating
from iid_jax.evaluation.score import Detections, score
from iid_jax.models import InputSpec

SPEC = InputSpec(112)
LEFT = np.array([0.0, 0.0, 0.5, 1.0], np.float32)


@pytest.fixture
def scored(catalog, detect):
    return score(detect, catalog, catalog.select("test"), SPEC, 16, quiet=True)


def swaps_of(catalog, detect, limit=12, seed=0, split="test"):
    return localisation.partial_swaps(
        detect, catalog, split, DataConfig(), SPEC, 7, 16, seed, limit
    )


def value(rows, method, metric):
    (row,) = [r for r in rows if r["method"] == method and r["metric"] == metric]
    return row["value"]


def test_threshold_leaves_the_allowed_number_of_boxes():
    rng = np.random.default_rng(0)
    scores = np.sort(rng.random((50, 6), np.float32))[:, ::-1]
    scores[:, 4:] = 0.0
    for allowed in (0.0, 0.5, 1.0, 3.0):
        threshold = localisation.threshold_of(scores, allowed)
        count = localisation.counts_as_box(scores, threshold).sum()
        assert count == allowed * 50


def test_threshold_of_tied_scores_never_lets_too_many_pass():
    scores = np.full((10, 3), 0.7, np.float32)
    threshold = localisation.threshold_of(scores, 1.0)
    assert not localisation.counts_as_box(scores, threshold).any()


def test_threshold_of_few_boxes_keeps_them_all():
    scores = np.array([[0.2, 0.0], [0.0, 0.0]], np.float32)
    threshold = localisation.threshold_of(scores, 1.0)
    assert localisation.counts_as_box(scores, threshold).sum() == 1


@pytest.mark.parametrize(
    ("box", "score_", "expected"),
    [
        ((0.0, 0.0, 0.5, 1.0), 0.6, True),
        ((0.0, 0.0, 1.0, 1.0), 0.6, True),  # IoU 0.5
        ((0.0, 0.0, 1.0, 0.99), 0.6, False),  # IoU 0.495 / 0.995
        ((0.5, 0.0, 1.0, 1.0), 0.6, False),
        ((0.0, 0.0, 0.5, 1.0), 0.4, False),  # below the threshold
    ],
)
def test_box_is_found_at_iou_one_half_and_the_threshold(catalog, scored, box, score_, expected):
    scored.boxes[:], scored.box_scores[:] = 0.0, 0.0
    scored.boxes[:, 1], scored.box_scores[:, 1] = box, score_
    truths = np.tile(LEFT, (len(scored.rows), 1))
    rows = localisation.localisation_results(scored, catalog, truths, Operating(0.5, "d"), 5, 0)
    assert value(rows, "all", "box_recall") == float(expected)


def test_boxes_that_do_not_count_are_not_shown():
    boxes, scores = np.ones((1, 3, 4)), np.array([[0.9, 0.5, 0.4]])
    shown = localisation.predicted(boxes, scores, 0.5)
    assert np.isfinite(shown).all(axis=2).tolist() == [[True, True, False]]


def test_truth_of_a_fake_is_the_box_around_its_mask_on_the_canvas(catalog, scored):
    truths = localisation.truth_boxes(scored, catalog, SPEC.size)
    for place, row in enumerate(scored.rows):
        if scored.table["label"][place] == 0:
            assert np.isnan(truths[place]).all()
            continue
        record = catalog.read(row)
        mask = canvas.true_mask(record, canvas.align(record, SPEC).matrix, SPEC.size) >= 0.5
        y, x = np.nonzero(mask)
        expected = np.array([x.min(), y.min(), x.max() + 1, y.max() + 1]) / SPEC.size
        np.testing.assert_allclose(truths[place], expected, atol=1e-6)


def test_partial_swaps_know_their_window_and_repeat_with_the_seed(catalog, detect):
    first, again = swaps_of(catalog, detect), swaps_of(catalog, detect)
    other = swaps_of(catalog, detect, seed=1)
    assert len(first.samples) == 12
    for sample, repeated in zip(first.samples, again.samples, strict=True):
        np.testing.assert_array_equal(sample.image, repeated.image)
        changed = (sample.image != sample.genuine).any(axis=2)
        x0, y0, x1, y1 = np.rint(sample.boxes[1] * SPEC.size).astype(int)
        assert changed[y0:y1, x0:x1].mean() > 0.5
        assert changed.sum() < SPEC.size**2 / 2
    assert [s.row for s in first.samples] != [s.row for s in other.samples]


def test_genuine_partner_of_a_partial_swap_is_aligned_without_jitter(catalog, detect):
    sample = swaps_of(catalog, detect, limit=1).samples[0]
    partner = catalog.pristine_of(np.array([sample.row]))[0]
    expected = canvas.align(catalog.read(partner), SPEC).image
    np.testing.assert_array_equal(sample.genuine, expected)


def test_partial_swaps_come_from_the_split_even_where_training_made_none(catalog, detect):
    plain = DataConfig(swap=SwapConfig(untouched=1.0, global_=0.0, partial=0.0))
    swaps = localisation.partial_swaps(detect, catalog, "val", plain, SPEC, 7, 16, 0, 6)
    assert set(catalog.columns["split"][[s.row for s in swaps.samples]].tolist()) == {"val"}
    assert {sample.outcome for sample in swaps.samples} == {"partial"}


def test_fakes_without_partners_give_no_swaps_but_a_reason(make_catalog, detect):
    catalog = make_catalog(lambda r: r.label == 1 or r.split != "test")
    assert swaps_of(catalog, detect) is None
    rows = localisation.partial_swap_results("d", "test", None, Operating(0.5, "d"), 10, 0)
    assert [row["value"] for row in rows] == [None, None, None]
    assert all("pristine partner" in row["reason"] for row in rows)


def test_perfect_boxes_have_recall_one_and_no_false_boxes(catalog, scored):
    truths = localisation.truth_boxes(scored, catalog, SPEC.size)
    fake = scored.table["label"] == 1
    scored.boxes[:, 0] = np.nan_to_num(truths)
    scored.box_scores[:] = 0.0
    scored.box_scores[fake, 0] = 0.9
    rows = localisation.localisation_results(scored, catalog, truths, Operating(0.5, "d"), 20, 0)
    for method in ("all", "blur", "smear"):
        assert value(rows, method, "box_recall") == 1.0
        assert value(rows, method, "box_precision") == 1.0
        assert value(rows, method, "pair_win") == 1.0
    assert value(rows, "all", "false_boxes_per_genuine") == 0.0


def test_false_boxes_are_counted_on_genuine_pictures_alone(catalog, scored):
    genuine = scored.table["label"] == 0
    scored.box_scores[:] = 0.9
    scored.box_scores[genuine, 3:] = 0.1
    truths = localisation.truth_boxes(scored, catalog, SPEC.size)
    rows = localisation.localisation_results(scored, catalog, truths, Operating(0.5, "d"), 20, 0)
    assert value(rows, "all", "false_boxes_per_genuine") == 3.0
    assert value(rows, "all", "pair_win") == 0.5


def test_unreadable_partner_takes_its_pairs_out(make_catalog, catalog, detect):
    row = int(catalog.select("test", label=0)[0])
    broken = make_catalog(broken=[row])
    scored = score(detect, broken, broken.select("test"), SPEC, 16, quiet=True)
    truths = np.full((len(scored.rows), 4), np.nan, np.float32)
    lost = scored.table["identity"] == broken.columns["identity"][row]
    scored.box_scores[:] = 0.0
    scored.box_scores[lost & (scored.table["label"] == 1)] = 0.9
    rows = localisation.localisation_results(scored, broken, truths, Operating(0.5, "d"), 5, 0)
    # Of this person's two frames one has a partner left: 2 wins, 44 ties.
    assert value(rows, "all", "pair_win") == pytest.approx((2 + 44 / 2) / 46)


def test_threshold_is_chosen_on_genuine_validation_pictures(catalog, detect):
    seen = []

    def watched(images):
        seen.append(images)
        return detect(images)

    operating = localisation.choose_threshold(watched, catalog, SPEC, 16, quiet=True)
    rows = catalog.select("val", label=0)
    expected = np.stack([canvas.align(catalog.read(row), SPEC).image for row in rows])
    np.testing.assert_array_equal(np.concatenate(seen)[: len(rows)], expected)
    boxes = score(detect, catalog, rows, SPEC, 16, quiet=True).box_scores
    budget = int(localisation.ALLOWED_FALSE_BOXES * len(rows))
    counted = localisation.counts_as_box(boxes, operating.threshold)
    next_lower = boxes[~counted].max()
    # Boxes of equal scores count together or not at all.
    assert counted.sum() <= budget < localisation.counts_as_box(boxes, next_lower).sum()


def test_data_without_validation_pictures_has_no_threshold_and_says_so(
    make_catalog, scored, detect
):
    catalog = make_catalog(lambda r: r.split != "val")
    assert localisation.choose_threshold(detect, catalog, SPEC, 16, quiet=True) is None
    truths = np.full((len(scored.rows), 4), np.nan, np.float32)
    rows = localisation.localisation_results(scored, make_catalog(), truths, None, 10, 0)
    boxes = [r for r in rows if r["metric"] in ("box_recall", "box_precision")]
    assert boxes and all(r["value"] is None and "validation" in r["reason"] for r in boxes)


def test_recall_on_partial_swaps_uses_their_windows(catalog, detect):
    swaps = swaps_of(catalog, detect)
    truths = np.stack([s.boxes[1] for s in swaps.samples])
    boxes = np.repeat(truths[:, None], 2, axis=1)
    boxes[6:, 1] = 0.0, 0.0, 0.1, 0.1
    scores = np.tile(np.float32([0.9, 0.0]), (12, 1))
    scores[6:, 1] = 0.8
    scores[:3] = 0.0
    faked = Detections(swaps.fakes.logits, boxes, scores)
    swaps = swaps._replace(fakes=faked, partners=faked._replace(box_scores=scores * 0.5))
    rows = localisation.partial_swap_results("d", "test", swaps, Operating(0.5, "d"), 20, 0)
    assert value(rows, "partial_swap", "box_recall") == 9 / 12
    assert value(rows, "partial_swap", "box_precision") == 9 / (9 + 6)
    assert value(rows, "partial_swap", "pair_win") == (9 + 3 * 0.5) / 12


def test_partial_swaps_are_of_all_scales(catalog, detect):
    swaps = swaps_of(catalog, detect)
    assert {sample.recipe["scale"] for sample in swaps.samples} == {0, 1, 2}
