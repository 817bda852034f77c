"""The multibox loss against the reference's values and gradients (golden/multibox_loss)."""

import hypothesis
import hypothesis.extra.numpy as hnp
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st

from iid_jax import boxes, losses

CASES = ("genuine4", "mixed8", "fake8", "fake2_big", "manypos3", "mixed2_large")


def arrays(golden, name):
    case = golden("multibox_loss")
    return tuple(case[f"{name}_{part}"] for part in ("loc_p", "conf_p", "loc_t", "conf_t"))


@jax.jit
def value_and_grads(deltas, logits, targets, positive, ignored, per_positive=2, least=4):
    def total(deltas, logits):
        counts = {"negatives_per_positive": per_positive, "min_negatives": least}
        found = losses.multibox(deltas, logits, targets, positive, ignored, **counts)
        return found.total, found

    return jax.value_and_grad(total, (0, 1), has_aux=True)(deltas, logits)


def used_negatives(logits, positive, ignored, **options):
    """Which anchors that are not positive get a gradient, bool (B, A)."""
    nothing = np.zeros((*positive.shape, 4), np.float32)
    _, (_, grad) = value_and_grads(nothing, logits, nothing, positive, ignored, **options)
    return (np.abs(np.asarray(grad)).sum(-1) > 0) & ~positive


def hardest(logits, candidates, count):
    """The `count` candidates of one image with the largest loss as negatives, by brute force."""
    loss = np.log1p(np.exp(logits[:, 1].astype(np.float64) - logits[:, 0]))
    ordered = sorted(np.flatnonzero(candidates), key=lambda anchor: (-loss[anchor], anchor))
    return set(ordered[:count])


def case_of(seed, images=6, anchors=168, positives=0.02, ignored=0.3):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (images, anchors, 2)).astype(np.float32)
    positive = rng.random((images, anchors)) < positives
    positive[0] = False
    return logits, positive, (rng.random((images, anchors)) < ignored) & ~positive


@pytest.mark.parametrize("name", CASES)
def test_without_least_negatives_values_and_gradients_are_the_references(golden, name):
    deltas, logits, targets, labels = arrays(golden, name)
    nothing = np.zeros(labels.shape, bool)
    parts = targets, labels > 0, nothing
    (_, found), grads = value_and_grads(deltas, logits, *parts, least=0)
    case = golden("multibox_loss")
    np.testing.assert_allclose([found.loc, found.conf], case[f"{name}_loss_f64"], rtol=2e-6)
    for ours, theirs in zip(grads, ("grad_loc", "grad_conf"), strict=True):
        np.testing.assert_allclose(ours, case[f"{name}_{theirs}"], atol=1e-7, rtol=1e-5)


@pytest.mark.parametrize("name", ["mixed8", "mixed2_large"])
def test_in_float64_the_value_is_the_references_to_ten_digits(golden, name):
    deltas, logits, targets, labels = arrays(golden, name)
    with jax.enable_x64(True):
        wide = [value.astype(np.float64) for value in (deltas, logits, targets)]
        nothing = np.zeros(labels.shape, bool)
        found = losses.multibox(*wide, labels > 0, nothing, min_negatives=0)
        expected = golden("multibox_loss")[f"{name}_loss_f64"]
        np.testing.assert_allclose([found.loc, found.conf], expected, rtol=1e-10)


@pytest.mark.parametrize(("per_positive", "least"), [(2, 0), (2, 4), (0, 3), (3, 20), (2, 400)])
def test_negatives_are_each_images_hardest_that_are_neither_positive_nor_ignored(
    per_positive, least
):
    logits, positive, ignored = case_of(0)
    used = used_negatives(logits, positive, ignored, per_positive=per_positive, least=least)
    assert positive.sum(1).tolist()[0] == 0 < positive.sum()
    for image in range(len(logits)):
        wanted = max(per_positive * positive[image].sum(), least)
        candidates = ~positive[image] & ~ignored[image]
        expected = hardest(logits[image], candidates, min(wanted, candidates.sum()))
        assert set(np.flatnonzero(used[image])) == expected


def test_genuine_images_too_show_their_four_hardest_anchors_by_default():
    logits, _, ignored = case_of(1)
    nothing = np.zeros_like(ignored)
    zeros = np.zeros((*ignored.shape, 4), np.float32)
    found = losses.multibox(zeros, logits, zeros, nothing, ignored)
    entropy = np.log1p(np.exp(logits[..., 1].astype(np.float64) - logits[..., 0]))
    expected = np.sort(np.where(ignored, 0, entropy))[:, -4:].sum()
    np.testing.assert_allclose(found.conf, expected, rtol=1e-5)


def test_of_equally_hard_negatives_the_first_are_taken():
    shape = (2, 168)
    nothing = np.zeros(shape, bool)
    used = used_negatives(np.zeros((*shape, 2), np.float32), nothing, nothing)
    assert np.flatnonzero(used[1]).tolist() == [0, 1, 2, 3]


def test_the_value_is_summed_over_positives_and_negatives_and_shared_among_positives(golden):
    deltas, logits, targets, labels = arrays(golden, "mixed8")
    positive = labels > 0
    ignored = ~positive & (np.arange(168) % 3 == 0)
    found = losses.multibox(deltas, logits, targets, positive, ignored, alpha=0.5)
    difference = np.abs(deltas.astype(np.float64) - targets)[positive]
    loc = np.where(difference < 1, 0.5 * difference**2, difference - 0.5).sum()
    wide = logits.astype(np.float64)
    entropy = np.log1p(np.exp(np.where(positive, 1, -1) * (wide[..., 0] - wide[..., 1])))
    conf = entropy[positive].sum()
    for image in range(len(logits)):
        count = max(2 * positive[image].sum(), 4)
        chosen = hardest(logits[image], ~positive[image] & ~ignored[image], count)
        conf += entropy[image, sorted(chosen)].sum()
    number = positive.sum()
    expected = [loc / number, conf / number, (conf + 0.5 * loc) / number]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_an_ignored_anchor_that_is_positive_stays_positive():
    logits, positive, _ = case_of(2)
    deltas = np.ones((*positive.shape, 4), np.float32)
    with_mask, without = (
        losses.multibox(deltas, logits, 0 * deltas, positive, mask, min_negatives=0)
        for mask in (positive, np.zeros_like(positive))
    )
    np.testing.assert_array_equal(with_mask, without)
    assert float(without.loc) > 0


def test_targets_matter_at_positives_only():
    logits, positive, ignored = case_of(3)
    deltas = np.random.default_rng(0).normal(size=(*positive.shape, 4)).astype(np.float32)
    clean = np.where(positive[..., None], np.float32(0.3), np.float32(0))
    junk = np.where(positive[..., None], clean, np.float32(-np.inf))
    expected = value_and_grads(deltas, logits, clean, positive, ignored)
    found = value_and_grads(deltas, logits, junk, positive, ignored)
    jax.tree.map(np.testing.assert_array_equal, found, expected)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(found))


def test_without_any_anchor_in_play_the_loss_is_zero():
    shape = (2, 168)
    everything, zeros = np.ones(shape, bool), np.zeros((*shape, 4))
    found = losses.multibox(zeros, zeros[..., :2], zeros, ~everything, everything)
    assert [float(value) for value in found] == [0.0, 0.0, 0.0]


def test_half_precision_predictions_are_added_up_in_float32():
    logits, positive, ignored = case_of(4)
    deltas = np.ones((*positive.shape, 4), np.float32)
    narrow = jnp.asarray(deltas, jnp.bfloat16), jnp.asarray(logits, jnp.bfloat16)
    found = losses.multibox(*narrow, 0 * deltas, positive, ignored)
    same = (value.astype(np.float32) for value in narrow)
    expected = losses.multibox(*same, 0 * deltas, positive, ignored)
    assert {value.dtype for value in found} == {jnp.dtype(np.float32)}
    np.testing.assert_array_equal(found, expected)


ANY = st.one_of(st.floats(width=32), st.sampled_from([0.0, 0.25, 0.5, 1.0, np.nan, np.inf]))


@hypothesis.given(hnp.arrays(np.float32, (2, 2, 4), elements=ANY))
@hypothesis.settings(max_examples=30, deadline=None)
def test_loss_and_gradients_are_finite_whatever_the_true_boxes_are(truths):
    anchors = boxes.anchors(224)
    found = boxes.match(truths, np.ones((2, 2), bool), anchors)
    logits = np.zeros((2, 168, 2), np.float32)
    nothing = np.zeros((2, 168), bool)
    made = value_and_grads(np.zeros((2, 168, 4), np.float32), logits, *found, nothing)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(made))


def test_a_prediction_that_is_not_finite_shows_in_the_loss():
    logits, positive, ignored = case_of(5)
    deltas = np.zeros((*positive.shape, 4), np.float32)
    deltas[tuple(np.argwhere(positive)[0])] = np.nan
    found = losses.multibox(deltas, logits, 0 * deltas[0, 0], positive, ignored)
    assert np.isnan(found.total)


def test_cross_entropy_is_the_mean_negative_log_likelihood():
    logits = np.array([[1.0, 3.0], [0.5, -2.0], [0.0, 0.0]])
    labels = np.array([1, 0, 1])
    chance = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    expected = -np.log(chance[np.arange(3), labels]).mean()
    np.testing.assert_allclose(losses.cross_entropy(logits, labels), expected, rtol=1e-6)
    narrow = losses.cross_entropy(jnp.asarray(logits, jnp.bfloat16), labels)
    assert narrow.dtype == np.float32
