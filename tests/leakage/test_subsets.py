"""Fakes are divided by what they look like, whole videos, and training sees the first subsets."""

import pickle

import numpy as np
import pytest

from iid_jax.errors import DataError
from iid_jax.leakage import subsets


@pytest.fixture(scope="module")
def people(make_people):
    """Training fakes of people of 6 colours, and test people."""
    clips = {f"p{k}": 4 for k in range(6)}
    return make_people(clips, frames=2, fakes=True, splits=("train", "train", "train", "test"))


@pytest.fixture(scope="module")
def division(network, people):
    return subsets.by_features(network, people, "global", 3, seed=0, quiet=True)


def test_all_training_fakes_are_divided_the_largest_subset_first(people, division):
    np.testing.assert_array_equal(division.rows, people.select("train", label=1))
    sizes = np.bincount(division.subset)
    assert len(sizes) == division.count == 3 and (np.diff(sizes) <= 0).all()


def test_fakes_of_one_colour_and_frames_of_one_video_are_in_one_subset(people, division):
    for column in ("video_id", "source_identity"):
        values = people.columns[column][division.rows]
        for value in set(values.tolist()):
            assert len(set(division.subset[values == value].tolist())) == 1


def test_manipulations_are_subsets_where_they_are_known(people):
    found = subsets.by_method(people)
    assert found.count == 1 and len(found.rows) == len(people.select("train", label=1))


def test_more_subsets_than_videos_are_refused(network, people):
    with pytest.raises(DataError, match="18 fake videos cannot make 19"):
        subsets.by_features(network, people, "global", 19, seed=0, quiet=True)


def test_a_part_selects_the_first_subsets_and_everything_else(people, division):
    part = subsets.part_of(people, division, 2)
    fakes = part.select("train", label=1)
    np.testing.assert_array_equal(fakes, division.rows[division.subset < 2])
    for split, label in (("train", 0), ("test", None)):
        expected = people.select(split, label=label)
        np.testing.assert_array_equal(part.select(split, label=label), expected)


def test_a_part_of_a_data_set_on_disk_goes_to_other_processes(practice):
    rows = practice.select("train", label=1)
    part = subsets.Part(practice, rows[5:])
    copy = pickle.loads(pickle.dumps(part))  # as the loader's workers are given it
    np.testing.assert_array_equal(copy.select("train", label=1), rows[:5])
    assert copy.read(int(rows[0])).video_id == practice.read(int(rows[0])).video_id


def test_the_auc_is_measured_for_every_number_of_subsets(network, make_network, people, division):
    asked = []

    def train(part, count):
        asked.append((count, len(part.select("train", label=1))))
        return make_network(f"{count} subsets")

    section = subsets.measure(
        people, division, train, [(people, "test")], network.spec, bootstrap=0, quiet=True
    )
    sizes = np.cumsum(np.bincount(division.subset)).tolist()
    assert asked == list(zip((1, 2, 3), sizes, strict=True))
    found = [row for row in section.rows if row["metric"] == "video_auc"]
    assert [row["detector"] for row in found] == ["1 subsets", "2 subsets", "3 subsets"]
    assert set(section.figures) == {"subsets", "subsets-pictures", "subsets-methods"}
    assert len(section.details["subset_of"]) == len(division.rows)


def test_the_auc_is_the_one_of_the_run(make_network, uneven, of_a_run):
    sure = make_network("sure", gain=20.0)
    division, targets = subsets.by_method(uneven), [(uneven, "test")]
    section = subsets.measure(
        uneven, division, lambda part, count: sure, targets, sure.spec, bootstrap=200, quiet=True
    )
    (found,) = [row for row in section.rows if row["metric"] == "video_auc"]
    expected = of_a_run(sure, uneven, 200)
    assert all(found[name] == expected[name] for name in ("value", "lo", "hi"))
