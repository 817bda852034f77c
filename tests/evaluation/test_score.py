"""Every record is scored once, in order; one that cannot be scored keeps its line."""

import os
import subprocess
import sys
import time

import numpy as np
import pytest

from iid_jax import boxes
from iid_jax.data import canvas
from iid_jax.errors import DataError
from iid_jax.evaluation import score as scoring
from iid_jax.evaluation.score import AHEAD, Detections, DetectorFunction, Worker, detect_all, score
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


_NETWORK = """
import sys
from types import SimpleNamespace
import jax, numpy as np
from iid_jax.evaluation.score import DetectorFunction, detect_all
from iid_jax.models import InputSpec
from iid_jax.models.detector import Outputs


def apply(kernels, x):
    for name in ("first", "second"):
        layout = ("NHWC", "HWIO", "NHWC")
        x = jax.nn.relu(jax.lax.conv_general_dilated(x, kernels[name], (2, 2), "SAME",
                                                     dimension_numbers=layout))
    return Outputs(x.mean((1, 2)) @ kernels["last"], None, None, {})


def scores(batch_size):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (37, 24, 24, 3), np.uint8)
    shapes = {"first": (3, 3, 3, 8), "second": (3, 3, 8, 16), "last": (16, 2)}
    kernels = {name: rng.normal(size=s).astype(np.float32) for name, s in shapes.items()}
    detect = DetectorFunction(SimpleNamespace(apply=apply), InputSpec(24), None).bind(kernels)
    logits = detect_all(detect, images, batch_size).logits / 50
    return 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))
"""


def test_scores_are_the_same_for_any_batch_size_and_number_of_devices(tmp_path):
    here: dict = {}
    exec(_NETWORK, here)
    expected = here["scores"](37)
    assert np.ptp(expected) > 0.01
    np.testing.assert_allclose(here["scores"](5), expected, atol=1e-5)
    path = tmp_path / "scores.npy"
    save = "assert jax.device_count() == 8; np.save(sys.argv[1], [scores(37), scores(5)])"
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=8", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", _NETWORK + save, str(path)]
    done = subprocess.run(command, env={**os.environ, **flags}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for eight in np.load(path):
        np.testing.assert_allclose(eight, expected, atol=1e-5)


def test_batches_are_made_while_the_device_is_at_work_and_stay_in_order():
    made, seen = [], []

    def batches():
        for number in range(8):
            made.append(number)
            yield {"image": np.full((1, 1), number), "number": number}

    def detect(images):
        time.sleep(0.02)
        seen.append(len(made))
        return images

    worker = Worker(detect)
    found = [(batch["number"], int(image[0, 0])) for batch, image in worker.over(batches())]
    assert found == [(number, number) for number in range(8)]
    # When the first batch was done, the next ones were there already; never more than AHEAD.
    assert seen[0] > 1 and max(n - i - 1 for i, n in enumerate(seen)) <= AHEAD + 1
    assert worker.busy >= 7 * 0.02 and worker.waited < worker.busy


def test_a_slow_host_is_told_as_the_device_waiting():
    def batches():
        for _ in range(4):
            time.sleep(0.05)
            yield {"image": np.zeros((2, 1))}

    worker = Worker(lambda images: images)
    list(worker.over(batches()))
    assert worker.waited > 0.1 > worker.busy
    assert "the device waited for 9" in worker.speed(8) or "for 100 %" in worker.speed(8)


def test_an_error_of_the_detector_is_not_lost():
    def detect(images):
        raise RuntimeError("no memory")

    with pytest.raises(RuntimeError, match="no memory"):
        list(Worker(detect).over({"image": np.zeros((1, 1))} for _ in range(3)))
