"""The probe over detectors: a planted identity is found, shuffled people are at chance."""

import math

import numpy as np
import pytest

from iid_jax.leakage import existence


@pytest.fixture(scope="module")
def people(make_people):
    """Twelve people of different colours, three clips of three frames each."""
    return make_people({f"p{k:02d}": 3 for k in range(12)}, frames=3)


@pytest.fixture(scope="module")
def section(network, people):
    return existence.measure([network], [(people, "test")], "global", bootstrap=200, quiet=True)


def test_a_planted_identity_is_found(section):
    assert section.value(detector="colours", metric="top1") == 1.0
    assert section.value(detector="colours", metric="top5") == 1.0
    assert section.value(detector="colours", metric="cross_entropy") < 0.3


def test_chance_is_told(section):
    assert section.value(detector="chance", metric="top1") == pytest.approx(1 / 12)
    assert section.value(detector="chance", metric="top5") == pytest.approx(5 / 12)
    assert section.value(detector="chance", metric="cross_entropy") == pytest.approx(math.log(12))


def test_the_curves_of_the_paper_are_kept_and_drawn(section):
    curve = section.details["curves"]["colours/default:test"]["colours"]
    assert curve[0]["accuracy"] <= 3 / 12 and curve[-1]["accuracy"] == 1.0
    assert curve[-1]["loss"] < curve[0]["loss"]
    assert {"probe-curves", "probe"} <= set(section.figures)


def test_raw_pixels_and_a_random_network_stand_beside(section):
    names = {row["detector"] for row in section.rows if row["metric"] == "top1"}
    assert names == {"colours", "random resnet_small", existence.PIXELS, "chance"}
    # One grey value: the colours lie on a line, and a linear probe tells only some of them.
    assert 1 / 12 < section.value(detector=existence.PIXELS, metric="top1") < 1.0
    assert section.notes[-1].startswith("colours/default:test: 12 people")


def test_shuffled_people_are_at_chance_within_the_interval(network, make_people):
    people = make_people({f"p{k}": 30 for k in range(8)}, frames=1)
    names = people.columns["identity"]
    people.columns["identity"] = np.random.default_rng(3).permutation(names)
    found = existence.measure([network], [(people, "test")], "global", False, 500, quiet=True)
    (row,) = [r for r in found.rows if (r["detector"], r["metric"]) == ("colours", "top1")]
    assert row["lo"] <= 1 / 8 <= row["hi"] and row["value"] < 0.3
