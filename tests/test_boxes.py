"""Anchors, matching, codec and suppression against the reference's numbers and brute force.

golden/anchors, matching and boxcodec_nms come from a run of the published PyTorch detector.
"""

import hypothesis
import hypothesis.extra.numpy as hnp
import jax
import numpy as np
import pytest
from hypothesis import strategies as st

from iid_jax import boxes

ANCHORS = boxes.anchors(224)
CORNERS = np.concatenate(
    [ANCHORS[:, :2] - ANCHORS[:, 2:] / 2, ANCHORS[:, :2] + ANCHORS[:, 2:] / 2], 1
)
ANY = st.one_of(
    st.floats(width=32),
    st.floats(-0.5, 1.5, width=32),
    st.sampled_from([np.nan, np.inf, -np.inf, 3e38, -3e38, 1e-30, 1e4, 0.0, 0.5, 1.0]),
)
QUICK = hypothesis.settings(max_examples=40, deadline=None)


def overlap(a, b):
    """IoU of two boxes, in plain float64."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    shared = np.prod(np.maximum(high - low, 0))
    return shared / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - shared)


def random_boxes(rng, *shape, smallest=0.03):
    low, sides = rng.uniform(-0.1, 0.8, (*shape, 2)), rng.uniform(smallest, 0.6, (*shape, 2))
    return np.concatenate([low, low + sides], -1).astype(np.float32)


def matched(box, **options):
    return boxes.match(np.array([[box]], np.float32), np.ones((1, 1), bool), ANCHORS, **options)


@pytest.mark.parametrize("canvas", [112, 224])
def test_anchors_are_the_references_on_any_canvas_with_a_7x7_map(golden, canvas):
    expected = golden("anchors")
    np.testing.assert_array_equal(boxes.anchors(canvas), expected["priors"])
    np.testing.assert_array_equal(boxes.to_corners(boxes.anchors(canvas)), expected["priors_xyxy"])


@pytest.mark.parametrize("side", [6, 8, 14])
def test_other_maps_have_two_anchors_per_cell_centred_in_maps_of_f_f2_f4_and_1(side):
    expected = []
    for cells, sizes in zip((side, side - 2, side - 4, 1), boxes.SIZES, strict=True):
        small, large = (size / 224 for size in sizes)
        for row in range(cells):
            for column in range(cells):
                x, y = (column + 0.5) / cells, (row + 0.5) / cells
                expected += [[x, y, small, large], [x, y, large, small]]
    made = boxes.anchors(16 * side, side)
    assert made.dtype == np.float32
    np.testing.assert_allclose(made, expected, rtol=1e-6)


@pytest.mark.parametrize("side", [5, 1, 0])
def test_a_map_below_six_cells_is_refused(side):
    with pytest.raises(ValueError, match="at least 6x6"):
        boxes.anchors(80, side)


def test_local_anchors_are_all_but_the_two_full_ones():
    local = boxes.local_mask(len(ANCHORS))
    np.testing.assert_array_equal(ANCHORS[~local], [[0.5, 0.5, 1, 1]] * 2)
    assert ANCHORS[local, 2:].max() < 1.0


def test_iou_is_the_ratio_of_areas():
    rng = np.random.default_rng(0)
    a, b = random_boxes(rng, 3, 5), random_boxes(rng, 3, 7)
    expected = [[[overlap(p, q) for q in b[i]] for p in a[i]] for i in range(3)]
    np.testing.assert_allclose(boxes.iou(a, b), expected, atol=1e-6)


def test_matching_is_the_references_on_all_its_finite_cases(golden):
    cases = golden("matching")
    valid = np.arange(2) < cases["n_boxes"][:, None]
    found = boxes.match(cases["boxes"], valid, ANCHORS)
    finite = np.isfinite(cases["loc_t"]).all((1, 2))
    assert finite.sum() == 319
    positive = np.asarray(found.positive)
    np.testing.assert_array_equal(positive[finite], cases["conf_t"][finite] > 0)
    expected = np.where(positive[..., None], cases["loc_t"], 0.0)[finite]
    np.testing.assert_allclose(np.asarray(found.deltas)[finite], expected, atol=3e-6)
    # The other eleven hold boxes without area: the reference answers with -inf and NaN, here the
    # whole canvas is what is left of five of them.
    assert np.isfinite(found.deltas).all()
    rest = cases["tags"][~finite]
    assert (positive[~finite].any(1) == (rest == "full+degenerate")).all()


def test_matching_is_a_brute_force_search_in_float64():
    rng = np.random.default_rng(1)
    # Boxes that no small anchor contains: those would tie, and rounding would decide.
    truths = random_boxes(rng, 6, 3, smallest=0.2)
    found = boxes.match(truths, np.ones((6, 3), bool), ANCHORS)
    for picture, three in enumerate(truths):
        table = np.array([[overlap(box, anchor) for anchor in CORNERS] for box in three])
        owner = np.where(table.max(0) >= 0.5, table.argmax(0), -1)
        for number in range(3):
            owner[table[number].argmax()] = number
        np.testing.assert_array_equal(found.positive[picture], owner >= 0)
        for anchor in np.flatnonzero(owner >= 0):
            box = three[owner[anchor]].astype(np.float64)
            x, y, w, h = ANCHORS[anchor]
            offset = [((box[0] + box[2]) / 2 - x) / w / 0.1, ((box[1] + box[3]) / 2 - y) / h / 0.1]
            growth = [np.log((box[2] - box[0]) / w) / 0.2, np.log((box[3] - box[1]) / h) / 0.2]
            np.testing.assert_allclose(found.deltas[picture, anchor], offset + growth, atol=1e-4)


def test_a_box_below_the_threshold_has_its_best_anchor_and_of_equals_the_first():
    square = np.array([0.49, 0.49, 0.51, 0.51])
    around = (CORNERS[:, :2] < square[:2]).all(1) & (CORNERS[:, 2:] > square[2:]).all(1)
    smallest = np.flatnonzero(around & np.isclose(ANCHORS[:, 2] * ANCHORS[:, 3], 40 * 80 / 224**2))
    assert len(smallest) > 2
    assert np.flatnonzero(matched(square).positive[0]).tolist() == [smallest[0]]


def test_of_two_boxes_that_want_one_anchor_the_later_has_it():
    box = np.array([0.2, 0.2, 0.2 + 40 / 224, 0.2 + 80 / 224], np.float32)
    pair = np.stack([box, box + np.float32(0.004)])
    best = [int(np.argmax([overlap(one, anchor) for anchor in CORNERS])) for one in pair]
    assert best[0] == best[1]
    for order in ([0, 1], [1, 0]):
        found = boxes.match(pair[None, order], np.ones((1, 2), bool), ANCHORS)
        wanted = boxes.encode(pair[order[1]], ANCHORS[best[0]])
        np.testing.assert_allclose(found.deltas[0, best[0]], wanted, atol=1e-5)


def test_a_lower_threshold_makes_more_anchors_positive():
    box, levels = [0.2, 0.2, 0.6, 0.7], (0.3, 0.4, 0.5)
    counts = [int(matched(box, threshold=level).positive.sum()) for level in levels]
    expected = [sum(overlap(box, anchor) >= level for anchor in CORNERS) for level in levels]
    assert counts == expected and expected[0] > expected[1] > expected[2] > 0


def test_a_batch_is_matched_as_its_pictures_one_by_one_and_padding_does_not_matter():
    rng = np.random.default_rng(2)
    truths, valid = random_boxes(rng, 6, 2), rng.random((6, 2)) < 0.6
    found = boxes.match(truths, valid, ANCHORS)
    for number in range(6):
        alone = boxes.match(truths[number], valid[number], ANCHORS)
        np.testing.assert_array_equal(found.positive[number], alone.positive)
        np.testing.assert_allclose(found.deltas[number], alone.deltas, atol=1e-5)
    junk = np.where(valid[..., None], truths, np.float32(np.nan))
    for ours, theirs in zip(found, boxes.match(junk, valid, ANCHORS), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@hypothesis.given(hnp.arrays(np.float32, (1, 2, 4), elements=ANY), hnp.arrays(bool, (1, 2)))
@QUICK
def test_boxes_of_any_kind_give_finite_numbers(any_boxes, valid):
    found = boxes.match(any_boxes, valid, ANCHORS)
    assert np.isfinite(found.deltas).all() and found.deltas.dtype == np.float32
    areas = np.asarray(boxes.iou(any_boxes, CORNERS))
    assert ((areas >= 0) & (areas <= 1)).all()
    assert np.isfinite(boxes.encode(any_boxes, ANCHORS[:2])).all()
    corners = np.asarray(boxes.decode(any_boxes, ANCHORS[:2]))
    assert np.isfinite(corners).all() and (corners[..., 2:] >= corners[..., :2]).all()


@hypothesis.given(
    hnp.arrays(np.float32, (168, 4), elements=ANY, fill=ANY),
    hnp.arrays(np.float32, (168, 2), elements=ANY, fill=ANY),
)
@QUICK
def test_heads_of_any_kind_give_finite_boxes_on_the_canvas(deltas, logits):
    found = boxes.detections(deltas, logits, ANCHORS)
    corners, scores = np.asarray(found.boxes), np.asarray(found.scores)
    assert ((corners >= 0) & (corners <= 1)).all()
    assert ((scores >= 0) & (scores <= 1)).all()
    np.testing.assert_array_equal(boxes.is_box(corners), found.valid)


@pytest.mark.parametrize(
    "box",
    [
        [0.5, 0.5, 0.5, 0.9],
        [0.6, 0.2, 0.4, 0.8],
        [np.nan, 0, 1, 1],
        [0, 0, np.inf, 1],
        [-1e30, 0.4, 3e38, 0.5],
        [1.5, 1.5, 2.0, 2.0],
    ],
    ids=["no area", "inverted", "nan", "infinite", "overflow", "off the canvas"],
)
def test_what_is_no_box_on_the_canvas_matches_nothing(box):
    found = matched(box)
    assert not found.positive.any()
    assert not found.deltas.any()


@pytest.mark.parametrize("corner", [(0.0, 0.0), (0.64, 0.0), (0.0, 0.64), (0.64, 0.64), (0.3, 0.3)])
@pytest.mark.parametrize("size", [(40, 80), (80, 40), (80, 120), (120, 80)])
def test_an_artifact_is_matched_where_it_is_and_not_at_its_transpose(corner, size):
    width, height = np.array(size) / 224
    x, y = np.minimum(corner, 1.0 - np.array([width, height]))
    found = matched([x, y, x + width, y + height])
    centres = ANCHORS[np.asarray(found.positive)[0], :2]
    # An anchor that overlaps by half cannot have its centre outside the artifact's middle.
    assert len(centres)
    assert (np.abs(centres[:, 0] - (x + width / 2)) <= width / 2).all()
    assert (np.abs(centres[:, 1] - (y + height / 2)) <= height / 2).all()


def test_ignored_anchors_are_covered_and_not_positive():
    positive = np.array([[True, False, False]])
    coverage = np.array([[0.9, 0.11, 0.10]], np.float32)
    assert boxes.ignored(positive, coverage).tolist() == [[False, True, False]]


def test_encoding_and_decoding_are_the_references(golden):
    case = golden("boxcodec_nms")
    encoded = boxes.encode(case["enc_in"], ANCHORS)
    np.testing.assert_allclose(encoded, case["enc_out"], atol=2e-6)
    np.testing.assert_allclose(boxes.decode(encoded, ANCHORS), case["dec_of_enc"], atol=1e-6)
    np.testing.assert_allclose(boxes.decode(case["dec_in"], ANCHORS), case["dec_out"], atol=2e-6)


def test_decoding_undoes_encoding():
    wanted = random_boxes(np.random.default_rng(3), 50, len(ANCHORS))
    np.testing.assert_allclose(
        boxes.decode(boxes.encode(wanted, ANCHORS), ANCHORS), wanted, atol=1e-5
    )


@pytest.mark.parametrize("number", range(8))
def test_suppression_keeps_what_the_reference_keeps_in_its_order(golden, number):
    case = golden("boxcodec_nms")
    threshold, top_k = case[f"nms{number}_thr_topk"]
    scores = case[f"nms{number}_scores"]
    index, valid = boxes.nms(case[f"nms{number}_boxes"], scores, float(threshold), int(top_k))
    assert index.shape == valid.shape == (int(top_k),)
    np.testing.assert_array_equal(np.asarray(index)[np.asarray(valid)], case[f"nms{number}_keep"])


def test_boxes_without_score_or_area_take_no_place_in_suppression():
    row = np.arange(6, dtype=np.float32)[:, None] * 2
    corners = np.concatenate([row, row, row + 1, row + 1], 1)
    corners[3, 2:] = corners[3, :2]
    scores = np.array([np.nan, 0.2, -np.inf, 0.9, 0.2, 0.4], np.float32)
    index, valid = boxes.nms(corners, scores, 0.5, top_k=3)
    assert np.asarray(index)[np.asarray(valid)].tolist() == [5, 1, 4]


def test_detections_are_what_a_plain_loop_finds_over_the_local_anchors():
    rng = np.random.default_rng(4)
    deltas = rng.normal(0, 1.5, (168, 4)).astype(np.float32)
    logits = rng.normal(0, 2, (168, 2)).astype(np.float32)
    found = boxes.detections(deltas, logits, ANCHORS, 0.4, 0.3, 12)
    chance = 1 / (1 + np.exp(logits[:, 0].astype(np.float64) - logits[:, 1]))
    corners = np.clip(np.asarray(boxes.decode(deltas, ANCHORS)), 0, 1)
    kept = []
    for anchor in np.argsort(-chance[:166], kind="stable"):
        clear = all(overlap(corners[anchor], corners[other]) <= 0.3 for other in kept)
        if chance[anchor] >= 0.4 and clear:
            kept.append(anchor)
    assert len(kept) > 12
    assert found.valid.all()
    np.testing.assert_allclose(found.boxes, corners[kept[:12]], atol=1e-6)
    np.testing.assert_allclose(found.scores, chance[kept[:12]], atol=1e-6)
    np.testing.assert_allclose(found.whole, chance[166:].max(), atol=1e-6)


def test_full_anchors_give_the_whole_score_and_no_local_box():
    logits = np.zeros((168, 2), np.float32)
    logits[:, 1] = -8.0
    logits[30, 1], logits[167, 1] = 5.0, 3.0
    found = boxes.detections(np.zeros((168, 4), np.float32), logits, ANCHORS, 0.5)
    assert np.flatnonzero(found.valid).tolist() == [0]
    np.testing.assert_allclose(found.boxes[0], np.clip(CORNERS[30], 0, 1), atol=1e-6)
    np.testing.assert_allclose(found.whole, jax.nn.sigmoid(3.0), atol=1e-6)
    assert not found.boxes[1:].any() and not found.scores[1:].any()


def test_an_anchor_with_an_output_that_is_not_finite_finds_nothing():
    logits = np.zeros((168, 2), np.float32)
    logits[:, 1] = -8.0
    logits[[10, 100], 1] = 5.0
    deltas = np.zeros((168, 4), np.float32)
    deltas[10, 3] = np.nan
    found = boxes.detections(deltas, logits, ANCHORS, 0.5)
    assert int(found.valid.sum()) == 1
    np.testing.assert_allclose(found.boxes[0], np.clip(CORNERS[100], 0, 1), atol=1e-6)


def test_a_batch_of_detections_is_each_pictures_own_and_thresholds_do_not_compile_again():
    rng = np.random.default_rng(5)
    deltas = rng.normal(size=(3, 168, 4)).astype(np.float32)
    logits = rng.normal(size=(3, 168, 2)).astype(np.float32)
    together = jax.vmap(lambda d, s: boxes.detections(d, s, ANCHORS))(deltas, logits)
    compiled = boxes.detections._cache_size()
    for number in range(3):
        alone = boxes.detections(deltas[number], logits[number], ANCHORS, 0.0, 0.45)
        for ours, theirs in zip(together, alone, strict=True):
            np.testing.assert_allclose(ours[number], theirs, atol=1e-6)
    for level in (0.1, 0.2, 0.3):
        boxes.detections(deltas[0], logits[0], ANCHORS, level, 0.45)
    assert boxes.detections._cache_size() <= compiled + 1
