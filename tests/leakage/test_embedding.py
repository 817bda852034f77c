"""The embedding: the same seed gives the same picture; silhouettes are those by hand."""

import numpy as np
import pytest

from iid_jax.errors import DataError
from iid_jax.leakage import embedding


@pytest.fixture(scope="module")
def people(make_people):
    return make_people({f"p{k}": 3 for k in range(6)}, frames=2, fakes=True, around=(128, 128, 128))


@pytest.fixture(scope="module")
def section(network, people):
    return embedding.measure([network], [(people, "test")], "global", people=4, quiet=True)


def test_both_silhouettes_stand_beside_the_picture(section):
    values = {row["metric"]: row["value"] for row in section.rows}
    assert set(values) == {"silhouette_identity", "silhouette_label"}
    assert all(-1 <= value <= 1 for value in values.values())
    assert set(section.figures) == {"embedding"}
    assert len(section.figures["embedding"][0].axes) == 2


def test_the_silhouette_is_the_one_by_hand():
    values = np.array([[0.0], [1.0], [10.0], [12.0]])
    groups = np.array([0, 0, 1, 1])
    near = np.array([1, 1, 2, 2])
    far = np.array([11, 10, 9.5, 11.5])
    expected = ((far - near) / np.maximum(far, near)).mean()
    assert embedding.silhouette(values, groups).value == pytest.approx(expected)


def test_one_group_has_no_silhouette():
    found = embedding.silhouette(np.zeros((4, 2)), np.zeros(4))
    assert found.value is None and "1 groups" in found.reason


def test_the_same_seed_gives_the_same_points(people):
    rows = people.select("test")
    values = np.random.default_rng(0).normal(size=(len(rows), 5)).astype(np.float32)
    one, again = (embedding.place(people, rows, values, seed) for seed in (1, 1))
    np.testing.assert_array_equal(one.points, again.points)
    assert one.points.shape == (len(rows), 2)


def test_the_people_with_the_most_pictures_are_chosen(make_people):
    catalog = make_people({"p0": 1, "p1": 4, "p2": 3, "p3": 1}, frames=2)
    rows = embedding.choose(catalog, "test", people=2, seed=0)
    assert set(catalog.columns["identity"][rows].tolist()) == {"p1", "p2"}


def test_a_split_without_two_known_people_is_refused(make_people):
    with pytest.raises(DataError, match="1 known people, 2 needed"):
        embedding.choose(make_people({"p0": 2, "": 2}, frames=1), "test", people=2, seed=0)
