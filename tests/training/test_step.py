"""One step of training: what it minimises and what it changes."""

import dataclasses
from typing import NamedTuple

import jax
import numpy as np
import pytest

from iid_jax import boxes, losses
from iid_jax.config import LossConfig, OptimConfig
from iid_jax.models import detector
from iid_jax.training import optim, sharding, state, step

BATCH, STEPS = 4, 4
ANCHORS = boxes.anchors(96, 6)


@pytest.fixture(scope="module")
def batch(tiny):
    """Two fakes with a box and two genuine pictures, as the pipeline gives them."""
    rng = np.random.default_rng(0)
    spots = np.array([[[0, 0, 1, 1], [0.1, 0.2, 0.5, 0.6]]] * BATCH, np.float32)
    fake = np.arange(BATCH) % 2 == 0
    return {
        "image": rng.integers(0, 256, (BATCH, 96, 96, 3), np.uint8),
        "label": fake.astype(np.int32),
        "boxes": spots,
        "boxes_valid": np.repeat(fake[:, None], 2, 1),
        "coverage": np.where(fake[:, None], 0.5, 0.0) * np.ones((1, len(ANCHORS)), np.float32),
    }


def _setup(tiny, adm=True):
    config = dataclasses.replace(tiny.tiny_config().model, adm=adm)
    module, spec, anchors = detector.build_detector(config)
    mesh = sharding.make_mesh(BATCH, devices=jax.devices()[:1])
    tx = optim.optimiser(OptimConfig(schedule="constant", learning_rate=1e-2), STEPS)
    first = state.create(module, spec, tx, 0, mesh)
    run = step.make_step(module, spec, anchors, LossConfig(), tx, first, mesh)
    return module, spec, first, run


@pytest.fixture(scope="module")
def stepped(tiny, batch):
    """(variables before, state given, state after one step, its scalars)."""
    *_, first, run = _setup(tiny)
    before = jax.tree.map(np.array, first.variables)
    after, scalars = run(first, batch)
    return before, first, after, scalars


class Heads(NamedTuple):
    """The outputs of a detector that the loss looks at."""

    logits: np.ndarray
    deltas: np.ndarray
    box_logits: np.ndarray


@pytest.fixture(scope="module")
def heads():
    """Outputs drawn at random."""
    rng = np.random.default_rng(1)
    shapes = (BATCH, 2), (BATCH, len(ANCHORS), 4), (BATCH, len(ANCHORS), 2)
    return Heads(*(rng.standard_normal(shape, np.float32) for shape in shapes))


def test_loss_is_cross_entropy_and_beta_times_multibox(heads, batch):
    matched = boxes.match(batch["boxes"], batch["boxes_valid"], ANCHORS)
    ignored = boxes.ignored(matched.positive, batch["coverage"])
    found = losses.multibox(heads.deltas, heads.box_logits, *matched, ignored)
    cls = losses.cross_entropy(heads.logits, batch["label"])
    expected = {
        "loss_cls": cls,
        "loss_conf": found.conf,
        "loss_loc": found.loc,
        "loss": cls + 0.3 * (found.conf + found.loc),
        "positives": matched.positive.sum(),
    }
    terms = step.loss_terms(heads, batch, ANCHORS, LossConfig(beta=0.3))
    assert set(terms) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(terms[name], value, rtol=1e-5, err_msg=name)


def test_ignored_anchors_are_negatives_under_the_references_rule(heads, batch):
    ours = step.loss_terms(heads, batch, ANCHORS, LossConfig())
    theirs = step.loss_terms(heads, batch, ANCHORS, LossConfig(negatives="all"))
    assert float(ours["loss_conf"]) < float(theirs["loss_conf"])


def test_step_changes_every_kernel_and_statistic_and_counts(stepped):
    before, _, after, _ = stepped

    def same(path, old, new):
        # A bias whose gradient is 0 stays at 0; everything else decays at least.
        return path[-1].key != "bias" and bool((old == new).all())

    unchanged = jax.tree_util.tree_map_with_path(same, before, after.variables)
    assert not any(jax.tree.leaves(unchanged)), unchanged
    assert int(after.step) == 1


def test_step_reports_the_terms_of_its_loss(stepped):
    *_, scalars = stepped
    expected = scalars["loss_cls"] + 0.1 * (scalars["loss_conf"] + scalars["loss_loc"])
    np.testing.assert_allclose(scalars["loss"], expected, rtol=1e-5)
    assert scalars["grad_norm"] > 0


def test_the_state_given_is_used_up(stepped):
    _, first, _, _ = stepped
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(first.params))


def test_plain_classifier_learns_from_normalised_pictures_by_cross_entropy_alone(tiny, batch):
    module, spec, current, run = _setup(tiny, adm=False)
    images = spec.normalise(batch["image"])
    outputs, _ = module.apply(current.variables, images, train=True, mutable=["batch_stats"])
    expected = float(losses.cross_entropy(outputs.logits, batch["label"]))
    found = []
    for _ in range(STEPS):
        current, scalars = run(current, batch)
        assert set(scalars) == {"loss", "loss_cls", "grad_norm"}
        found.append(float(scalars["loss"]))
    assert found[0] == pytest.approx(expected, rel=1e-4)
    assert found[-1] < found[0]


@pytest.mark.long
def test_detector_overfits_64_samples(practice, tiny):
    """The smallest real detector on one batch of real samples, augmented once: loss < 0.05."""
    from iid_jax.config import ModelConfig
    from iid_jax.data import pipeline

    module, spec, anchors = detector.build_detector(ModelConfig(dtype="float32"))
    mesh = sharding.make_mesh(64, devices=jax.devices()[:1])
    tx = optim.optimiser(OptimConfig(learning_rate=2e-3, warmup_steps=10), 150)
    current = state.create(module, spec, tx, 0, mesh)
    run = step.make_step(module, spec, anchors, LossConfig(), tx, current, mesh)
    data = tiny.tiny_config().data
    samples = next(pipeline.train_iterator(practice, data, spec, 7, 64, 1, seed=0))
    fed = sharding.to_devices({k: samples[k] for k in step.FED}, sharding.batch_sharding(mesh))
    for _ in range(150):
        current, scalars = run(current, fed)
    assert float(scalars["loss"]) < 0.05
