"""practice_faces holds no shortcut: outside the true mask, fakes are like genuine pictures."""

import dataclasses
import hashlib

import cv2
import numpy as np
import pytest

from iid_jax.data import builder, schema
from iid_jax.evaluation import shortcuts
from iid_jax.evaluation.shortcuts import CLASSIFIERS, Evidence
from iid_jax.forgery.manipulations import MANIPULATIONS

LIMIT = 0.60


def at_quality(record: schema.Record, pixels: np.ndarray, quality: int) -> schema.Record:
    sampling = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, *sampling]
    image = cv2.imencode(".jpg", pixels[..., ::-1], options)[1].tobytes()
    return dataclasses.replace(record, image=image, sha256=hashlib.sha256(image).hexdigest())


def planted(catalog, split, method) -> Evidence:
    """The control: the genuine pictures twice, once at quality 95 and once, called fake, at 90."""
    fakes = catalog.select(split, methods=(method,), label=schema.FAKE)
    rows, people = [], []
    for fake, genuine in zip(fakes, catalog.pristine_of(fakes), strict=True):
        mask, record = catalog.read(fake).mask_pixels(), catalog.read(genuine)
        pixels = record.pixels()
        for quality in (90, 95):
            rows.append(shortcuts.describe(at_quality(record, pixels, quality), mask))
            people.append(record.identity)
    return Evidence(np.array(rows), np.tile([1, 0], len(fakes)), np.array(people))


def without(evidence: Evidence, *prefixes: str) -> Evidence:
    kept = [i for i, n in enumerate(shortcuts.FEATURES) if not n.startswith(prefixes)]
    return dataclasses.replace(evidence, features=evidence.features[:, kept])


@pytest.mark.parametrize("method", list(MANIPULATIONS))
def test_a_small_practice_faces_shows_no_shortcut(method, practice):
    evidence = shortcuts.collect(practice, None, method)
    assert len(evidence.label) >= 200 and evidence.label.mean() == 0.5
    for name, metric in shortcuts.measure(evidence, bootstrap=200).items():
        assert metric.value < LIMIT, f"{name} tells {method} from genuine by AUC {metric}"


def test_the_check_sees_a_planted_jpeg_quality(practice):
    evidence = planted(practice, None, "affine_swap")
    for name, metric in shortcuts.measure(evidence, bootstrap=100).items():
        assert metric.lo > 0.9, name


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return builder.prepare("practice_faces", folder, builder.Settings(), jobs=2, quiet=True)


@pytest.mark.long
@pytest.mark.parametrize("method", list(MANIPULATIONS))
def test_practice_faces_shows_no_shortcut_with_95_percent_confidence(method, whole):
    evidence = shortcuts.collect(whole, "test", method)
    assert len(evidence.label) >= 1000
    results = shortcuts.measure(evidence)
    assert set(results) == set(CLASSIFIERS)
    for name, metric in results.items():
        print(f"{method} {name}: AUC {metric.value:.3f}, 95 % {metric.lo:.3f} to {metric.hi:.3f}")
        assert metric.hi < LIMIT, f"{name} tells {method} from genuine by AUC {metric}"


@pytest.mark.long
def test_the_check_sees_a_planted_quality_without_looking_at_the_tables(whole):
    evidence = without(planted(whole, "test", "affine_swap"), "table")
    assert shortcuts.measure(evidence)["gradient_boosting"].lo > 0.9
