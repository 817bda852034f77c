"""Numbers of a measurement, their intervals, and the file that keeps them."""

import json

import numpy as np
import pytest

from iid_jax.errors import DataError
from iid_jax.leakage.section import ABOUT, RESULTS, Section, mean, merged, read
from iid_jax.measures import Metric


def test_the_mean_is_over_values_and_its_interval_over_people():
    person = np.repeat(np.arange(200), 5)
    values = np.repeat(np.random.default_rng(0).normal(size=200), 5)
    found = mean(person, values, bootstrap=1000, seed=0)
    by_people = values[::5].std() / np.sqrt(200)
    assert found.value == pytest.approx(values.mean()) and found.n_videos == 200
    assert (found.hi - found.lo) / 3.92 == pytest.approx(by_people, rel=0.15)


def test_values_that_are_not_finite_are_left_out_of_the_mean():
    found = mean(np.array(["a", "a", "b"]), np.array([1.0, np.nan, 3.0]), 0, 0)
    assert found.value == 2.0 and found.n_videos == 2


def test_one_person_has_no_interval_and_none_no_value():
    assert mean(np.array(["a", "a"]), np.array([1.0, 2.0]), 10, 0).lo is None
    assert mean(np.array(["a"]), np.array([np.nan]), 10, 0).value is None


def test_a_value_is_found_by_its_columns_if_it_is_the_only_one():
    section = Section("probe")
    section.add("d", "a/default:test", "all", "top1", Metric(0.5))
    section.add("e", "a/default:test", "all", "top1", Metric(0.25))
    assert section.value(detector="e") == 0.25
    with pytest.raises(KeyError, match="2 rows"):
        section.value(metric="top1")


def test_a_new_measurement_replaces_the_old_and_leaves_the_others(tmp_path):
    content = {}
    for number, name in enumerate(("probe", "leak", "probe")):
        section = Section(name)
        section.add("d", "a/default:test", "all", "m", Metric(float(number)))
        about = dict.fromkeys(ABOUT) | {"seed": number}
        content = merged(read(tmp_path), [section], about)
        (tmp_path / RESULTS).write_text(json.dumps(content), encoding="utf-8")
    stored = read(tmp_path)
    assert {name: part["results"][0]["value"] for name, part in stored.items()} == {
        "probe": 2.0,
        "leak": 1.0,
    }
    assert stored["probe"]["seed"] == 2


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "{}",
        '{"schema": 2, "measurements": {}}',
        '{"schema": 1, "measurements": []}',
        '{"schema": 1, "measurements": {"leak": {"results": []}}}',
    ],
)
def test_a_damaged_results_file_is_named(tmp_path, text):
    (tmp_path / RESULTS).write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"results\.json is damaged or was not written by analyze"):
        read(tmp_path)
