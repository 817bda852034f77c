"""Influence of a detector that looks at one cell, and of one that needs the face as a whole."""

import numpy as np
import pytest

from iid_jax import metrics
from iid_jax.data import canvas
from iid_jax.errors import DataError
from iid_jax.leakage import influence
from iid_jax.leakage.influence import Plan, choose, influences
from iid_jax.leakage.masked import MaskedScores, baseline, face_cells

EYES = 2 * 7 + 3


AROUND = (128, 128, 128)


@pytest.fixture(scope="module")
def people(make_people):
    clips = {f"p{k:02d}": 1 for k in range(10)}
    return make_people(clips, frames=2, fakes=True, around=AROUND)


@pytest.fixture(scope="module")
def wholes(make_network):
    """A detector of which the cells act together: the square of all of the red."""
    return make_network("wholes", power=2, gain=5.0)


def measured(network, people, folder, rows=None, **plan):
    rows = people.select("test")[:6] if rows is None else rows
    scores = MaskedScores(network)
    return influences(network, scores, people, rows, Plan(**plan), "mean", folder, quiet=True)


def test_a_detector_of_one_cell_has_its_influence_there_and_none_elsewhere(
    make_network, people, tmp_path
):
    network = make_network("cell", cells=(EYES,))
    found = measured(network, people, tmp_path, contexts=4)
    rows = people.select("test")[:6]
    pictures = [canvas.align(people.read(row), network.spec) for row in rows]
    insides = [face_cells(picture.landmarks, network.spec.size) for picture in pictures]
    images = np.stack([picture.image for picture in pictures])
    gone = np.stack([baseline(i, s, "mean") for i, s in zip(images, insides, strict=True)])
    expected = network(images)["logit"] - network(gone)["logit"]
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(found.players[:, EYES], expected, atol=1e-4)
    elsewhere = np.delete(found.players, EYES, axis=1)
    assert np.nanmax(np.abs(elsewhere)) < 1e-5 and np.abs(found.value).max() < 1e-5


def test_cells_that_only_add_up_have_no_interaction_and_those_of_a_square_have(
    network, wholes, people, tmp_path
):
    apart = measured(network, people, tmp_path / "a", contexts=4)
    together = measured(wholes, people, tmp_path / "b", contexts=4)
    assert np.abs(apart.value).max() < 1e-4 < 0.05 < np.abs(together.value).max()


def test_interrupted_work_goes_on_and_gives_the_same(wholes, people, tmp_path):
    whole = measured(wholes, people, tmp_path / "whole", contexts=4)
    scores, asked = MaskedScores(wholes), []

    def tiring(*given):
        asked.append(1)
        if len(asked) == 4:
            raise KeyboardInterrupt
        return scores(*given)

    rows, plan = people.select("test")[:6], Plan(contexts=4)
    options = people, rows, plan, "mean", tmp_path / "cut"
    with pytest.raises(KeyboardInterrupt):
        influences(wholes, tiring, *options, quiet=True)
    again = influences(wholes, tiring, *options, quiet=True)
    assert len(asked) == 4 + 3
    for one, other in zip(whole, again, strict=True):
        np.testing.assert_array_equal(one, other)


def test_pictures_that_cannot_be_read_are_left_out(wholes, make_catalog, tmp_path):
    rows = make_catalog().select("test")[:4]
    found = measured(wholes, make_catalog(broken=[int(rows[1])]), tmp_path / "a", rows, contexts=4)
    np.testing.assert_array_equal(found.rows, rows[[0, 2, 3]])
    with pytest.raises(DataError, match="none of 4"):
        measured(wholes, make_catalog(broken=rows.tolist()), tmp_path / "b", rows, contexts=4)


def test_half_of_the_pictures_are_genuine_and_every_manipulation_has_its_share(people):
    rows = choose(people, "test", 12, seed=0)
    label = people.columns["label"][rows]
    assert len(rows) == 12 and label.sum() == 6
    np.testing.assert_array_equal(rows, choose(people, "test", 12, seed=0))
    assert set(rows.tolist()) != set(choose(people, "test", 12, seed=1).tolist())


def test_the_auc_is_told_where_the_halves_agree_and_kept_back_where_not(
    network, wholes, people, tmp_path
):
    plan = Plan(images=16, contexts=8, baselines=("mean",), bootstrap=50)
    section = influence.measure([wholes, network], [(people, "test")], plan, tmp_path, quiet=True)

    def row(detector, metric):
        (found,) = [r for r in section.rows if (r["detector"], r["metric"]) == (detector, metric)]
        return found

    assert row("wholes, mean", "split_half")["value"] >= influence.RELIABLE
    assert 0.0 <= row("wholes, mean", "influence_auc")["value"] <= 1.0
    assert row("wholes, mean", "standard_error")["value"] > 0
    kept_back = row("colours, mean", "influence_auc")
    assert kept_back["value"] is None and "0 to within rounding" in kept_back["reason"]
    assert {"influence", "influence-cells"} <= set(section.figures)


def test_the_interval_of_the_auc_is_over_people_where_that_is_wider(wholes, uneven, tmp_path):
    plan = Plan(images=64, contexts=8, baselines=("mean",), bootstrap=200)
    section = influence.measure([wholes], [(uneven, "test")], plan, tmp_path, quiet=True)
    (row,) = [row for row in section.rows if row["metric"] == "influence_auc"]
    rows = choose(uneven, "test", plan.images, plan.seed)
    scores = MaskedScores(wholes)
    found = influences(wholes, scores, uneven, rows, plan, "mean", tmp_path, quiet=True)
    columns = [uneven.columns[name][rows] for name in ("video_id", "label")]
    alone, people = (
        metrics.evaluate_scores(*columns, found.value, ["frame_auc"], 200, identity=identity)
        for identity in (None, uneven.columns["identity"][rows])
    )
    assert people["frame_auc"].lo < alone["frame_auc"].lo
    assert (row["lo"], row["hi"]) == (people["frame_auc"].lo, people["frame_auc"].hi)
