"""Every record is scored once, in order; one that cannot be scored keeps its line."""

import os
import subprocess
import sys

import numpy as np
import pytest

from iid_jax import boxes
from iid_jax.data import canvas
from iid_jax.errors import DataError
from iid_jax.evaluation import score as scoring
from iid_jax.evaluation.score import Detections, DetectorFunction, detect_all, score
from iid_jax.models import InputSpec

SPEC = InputSpec(112)


def logits_by_hand(detector, catalog, row):
    image = canvas.align(catalog.read(row), SPEC).image
    outputs = detector.module.apply(detector.variables, SPEC.normalise(image[None]))
    real, fake = np.asarray(outputs.logits)[0].tolist()
    return fake - real


def test_every_record_has_one_line_in_the_order_of_record_names(catalog, detect):
    rows = catalog.select("test")
    scored = score(detect, catalog, rows[::-1], SPEC, 16, quiet=True)
    records = scored.table["record"].tolist()
    assert records == sorted(catalog.record_id(row) for row in rows)
    assert [catalog.record_id(row) for row in scored.rows] == records
    assert scored.table["label"].tolist() == catalog.columns["label"][scored.rows].tolist()


@pytest.mark.parametrize("batch_size", [7, 16])
def test_logit_is_fake_minus_real_whatever_the_batch_size(catalog, detector, detect, batch_size):
    rows = catalog.select("test")[:9]
    scored = score(detect, catalog, rows, SPEC, batch_size, quiet=True)
    expected = [logits_by_hand(detector, catalog, row) for row in scored.rows]
    np.testing.assert_allclose(scored.table["logit"], expected, rtol=1e-5, atol=1e-6)
    sigmoid = 1 / (1 + np.exp(-scored.table["logit"]))
    np.testing.assert_allclose(scored.table["score"], sigmoid, rtol=1e-8)


def test_unreadable_records_keep_their_line_without_a_score(make_catalog, detect):
    catalog = make_catalog(broken=[70, 71])
    whole = score(detect, make_catalog(), catalog.select("test"), SPEC, 16, quiet=True)
    scored = score(detect, catalog, catalog.select("test"), SPEC, 16, quiet=True)
    lost = np.isin(scored.rows, [70, 71])
    assert len(scored.table) == len(whole.table) and lost.sum() == 2
    assert scored.table.failures() == {"unreadable": 2}
    assert np.isnan(scored.table["score"][lost]).all()
    assert (scored.box_scores[lost] == 0).all()
    np.testing.assert_array_equal(scored.table["score"][~lost], whole.table["score"][~lost])


def test_image_that_differs_from_its_sha256_is_unreadable(make_catalog, detect, break_image):
    catalog = make_catalog()
    row = int(catalog.select("test")[3])
    catalog._records[row] = break_image(catalog._records[row])
    scored = score(detect, catalog, catalog.select("test"), SPEC, 16, quiet=True)
    assert scored.rows[~scored.table.scored].tolist() == [row]


def test_logits_that_are_not_finite_are_no_scores(catalog):
    def broken(images):
        logits = np.zeros((len(images), 2), np.float32)
        logits[1] = np.nan, 0.0
        logits[2] = 0.0, np.inf
        return Detections(logits, np.zeros((len(images), 0, 4)), np.zeros((len(images), 0)))

    scored = score(broken, catalog, catalog.select("test")[:4], SPEC, 4, quiet=True)
    assert scored.table.failures() == {"not_finite": 2}
    assert (scored.table["score"][scored.table.scored] == 0.5).all()


def test_no_records_are_refused(catalog, detect):
    with pytest.raises(DataError, match="no records to score"):
        score(detect, catalog, [], SPEC, 16, quiet=True)


def test_boxes_are_those_of_the_detector_best_first(catalog, detector, detect):
    row = int(catalog.select("test", label=1)[0])
    image = canvas.align(catalog.read(row), SPEC).image[None]
    outputs = detector.module.apply(detector.variables, SPEC.normalise(image))
    found = detect(image)
    chance = 1 / (1 + np.exp(-np.asarray(outputs.box_logits)[0, :-2, 1]))
    corners = np.clip(np.asarray(boxes.to_corners(detector.anchors)), 0, 1)
    assert found.box_scores[0, 0] == pytest.approx(chance.max(), rel=1e-5)
    np.testing.assert_allclose(found.boxes[0, 0], corners[chance.argmax()], atol=1e-6)
    assert (np.diff(found.box_scores[0]) <= 0).all()


def test_boxes_that_were_suppressed_score_nothing(catalog, detect):
    image = canvas.align(catalog.read(int(catalog.select("test", label=1)[0])), SPEC).image[None]
    found = detect(image)
    kept = found.boxes[0][found.box_scores[0] > 0]
    overlap = np.asarray(boxes.iou(kept, kept)) - np.eye(len(kept))
    assert 0 < len(kept) <= scoring.KEPT_BOXES
    assert overlap.max() <= 0.45 + 1e-6


def test_plain_classifier_has_no_boxes(catalog, without_artifacts):
    plain = without_artifacts
    function = DetectorFunction(plain.module, plain.input_spec, None).bind(plain.variables)
    scored = score(function, catalog, catalog.select("test"), SPEC, 16, quiet=True)
    assert scored.box_scores.shape == (len(scored.table), 0) and scored.table.scored.all()


def test_images_beyond_one_batch_are_all_looked_at(detect):
    images = np.random.default_rng(0).integers(0, 256, (5, 112, 112, 3), np.uint8)
    found = detect_all(detect, images, 2)
    np.testing.assert_allclose(found.logits, detect(images).logits, rtol=1e-5, atol=1e-6)


_EIGHT_DEVICES = """
import jax, numpy as np
from types import SimpleNamespace
from iid_jax.evaluation.score import DetectorFunction
from iid_jax.models import InputSpec
from iid_jax.models.detector import Outputs

def apply(variables, x):
    level = x.mean((1, 2, 3))
    return Outputs(jax.numpy.stack([-level, level * variables["w"]], 1), None, None, {})

spec = InputSpec(8)
function = DetectorFunction(SimpleNamespace(apply=apply), spec, None)
images = np.random.default_rng(0).integers(0, 256, (11, 8, 8, 3), np.uint8)
found = function.bind({"w": np.float32(2.0)})(images)
level = spec.normalise(images).mean((1, 2, 3))
assert jax.device_count() == 8
np.testing.assert_allclose(found.logits, np.stack([-level, 2 * level], 1), rtol=1e-5, atol=1e-6)
"""


def test_eight_devices_share_a_batch_that_they_do_not_divide():
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=8", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", _EIGHT_DEVICES]
    done = subprocess.run(command, env={**os.environ, **flags}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
