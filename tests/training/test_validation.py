"""The look at held-out people: what it measures, and which way the best step is up."""

import dataclasses
import typing

import pytest

from iid_jax import config, metrics
from iid_jax.data import schema
from iid_jax.models import detector
from iid_jax.models.initial import initialise
from iid_jax.training.validation import Validation


def look_of(tiny, practice, best_metric):
    """(Validation, what it finds) of an untrained plain classifier."""
    settings = tiny.tiny_config(best_metric=best_metric)
    settings = dataclasses.replace(settings, model=dataclasses.replace(settings.model, adm=False))
    module, spec, anchors = detector.build_detector(settings.model)
    look = Validation(settings, module, spec, anchors, practice)
    return look, look(initialise(module, spec, seed=0))


def test_the_metrics_that_may_choose_are_those_that_are_measured():
    assert typing.get_args(config.Merit) == metrics.METRICS


@pytest.mark.parametrize("name", ["video_ap", "frame_eer", "video_acc"])
def test_the_metric_that_chooses_is_measured_beside_the_usual_ones(tiny, practice, name):
    look, found = look_of(tiny, practice, name)
    assert set(found) == {"video_auc", "frame_auc", name}
    assert look.merit(found) == (-found[name] if name == "frame_eer" else found[name])


def test_an_undefined_metric_has_no_merit(tiny, practice):
    look, _ = look_of(tiny, practice, "video_auc")
    assert look.merit({}) is None


def test_rows_are_of_both_labels_and_of_held_out_people(tiny, practice):
    look, _ = look_of(tiny, practice, "video_auc")
    columns = practice.columns
    assert set(columns["split"][look.rows]) == {"val"}
    assert set(columns["label"][look.rows]) == {schema.REAL, schema.FAKE}
