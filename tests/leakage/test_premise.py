"""Whose identity a fake has: nobody's doubt where its colour is the donor's or the target's."""

import numpy as np
import pytest

from iid_jax.leakage import existence, premise, takes
from iid_jax.leakage.network import look

PEOPLE = 12


def measured(network, catalog):
    return existence.measure([network], [(catalog, "test")], "global", False, 100, quiet=True)


@pytest.fixture(scope="module")
def catalog(make_people):
    return make_people({f"p{k:02d}": 3 for k in range(PEOPLE)}, frames=3, fakes=True)


@pytest.fixture(scope="module")
def swapped(network, catalog):
    return measured(network, catalog)


def test_fakes_of_the_donor_s_colour_have_the_donor_s_identity(swapped):
    assert swapped.value(method="swap", metric="top1_donor") == 1.0
    assert swapped.value(method="swap", metric="top1_target") == 0.0
    near, far = (swapped.value(method="swap", metric=f"distance_{w}") for w in ("donor", "target"))
    assert near < far
    assert swapped.value(method="swap", metric="distance_others") > near


def test_pristine_frames_have_their_own_identity_at_distance_1(swapped):
    assert swapped.value(method="pristine", metric="top1_target") == 1.0
    assert swapped.value(method="pristine", metric="distance_target") == pytest.approx(1.0)


def test_the_distances_are_those_of_the_standardised_colours(network, catalog, swapped):
    parts = takes.divide(catalog, "test", 0)
    genuine = look(network, catalog, catalog.select("test", label=0), ["global"], quiet=True)
    spared = np.isin(genuine.rows, np.r_[parts.choose, parts.test])
    values = genuine.features["global"].astype(np.float64)
    values = (values - values[spared].mean(0)) / values[spared].std(0)
    identity = catalog.columns["identity"][genuine.rows]
    centre = {n: values[spared & (identity == n)].mean(0) for n in set(identity.tolist())}
    own, others = [], []
    for value, name in zip(values[~spared], identity[~spared], strict=True):
        own.append(np.linalg.norm(value - centre[name]))
        others += [np.linalg.norm(value - c) for n, c in centre.items() if n != name]
    expected = np.mean(others) / np.mean(own)
    found = swapped.value(method="pristine", metric="distance_others")
    assert found == pytest.approx(expected, rel=1e-3)


def test_people_whose_only_clip_the_probe_has_seen_are_no_targets(network, make_people):
    clips = {f"p{k:02d}": 3 for k in range(PEOPLE)} | {"p99": 1}
    section = measured(network, make_people(clips, frames=3, fakes=True))
    rows = [r for r in section.rows if r["metric"] == "top1_target"]
    assert [(r["method"], r["n"]) for r in rows] == [("pristine", PEOPLE), ("swap", PEOPLE)]
    # The fakes of p11 have the colour of p99, who is still somebody that they can be taken for.
    assert section.value(method="swap", metric="top1_donor") == 1.0


def test_backgrounds_that_can_tell_the_target_are_told_of(network, make_people, swapped):
    note = f"colours/default:test: {premise.SAME_BACKGROUND}"
    assert note not in swapped.notes
    one_clip_each = make_people({f"p{k}": 1 for k in range(6)}, frames=10, fakes=True)
    networks = [network, network]
    section = existence.measure(networks, [(one_clip_each, "test")], "global", False, 0, quiet=True)
    assert section.notes.count(note) == 1


def test_without_fakes_there_is_a_reason(network, make_people):
    section = measured(network, make_people({f"p{k}": 3 for k in range(6)}, frames=2))
    (row,) = [r for r in section.rows if r["metric"] == "top1_target"]
    assert row["value"] is None and "no fake" in row["reason"]
    assert not [name for name in section.figures if name.startswith("premise")]
