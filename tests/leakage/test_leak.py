"""The leak of detectors on the data they were trained on: planted, absent, and not measurable."""

import pytest

from iid_jax.leakage.leak import Home, measure


def of(section, metric, detector="colours"):
    (row,) = [r for r in section.rows if (r["detector"], r["metric"]) == (detector, metric)]
    return row


def test_a_detector_that_knows_its_donors_has_a_leak_auc_of_1(catalog, network):
    section = measure([Home(network, catalog)], bootstrap=100, quiet=True)
    leak = of(section, "leak_auc")
    assert leak["value"] == 1.0 and leak["lo"] > 0.5
    assert leak["n"] == 2 + 6
    assert of(section, "donors_above_90")["value"] == 1.0
    assert of(section, "train_donors")["value"] == 2
    assert of(section, "video_auc")["value"] == 1.0
    assert "leak" in section.figures


def test_a_detector_that_answers_the_same_to_everybody_has_no_leak(catalog, make_network):
    blind = make_network("blind", gain=0.0)
    section = measure([Home(blind, catalog)], bootstrap=0, quiet=True)
    assert of(section, "leak_auc", "blind")["value"] == 0.5
    assert of(section, "familiarity_auc", "blind")["value"] == 0.5
    assert of(section, "donors_above_90", "blind")["value"] == 0.0


def test_the_video_auc_is_the_one_of_the_run(uneven, make_network, of_a_run):
    sure = make_network("sure", gain=20.0)
    found = of(measure([Home(sure, uneven)], bootstrap=200, quiet=True), "video_auc", "sure")
    expected = of_a_run(sure, uneven, 200)
    assert all(found[name] == expected[name] for name in ("value", "lo", "hi"))


def test_people_who_were_genuine_in_training_are_told_by_their_low_scores(catalog, network):
    section = measure([Home(network, catalog)], bootstrap=0, quiet=True)
    assert of(section, "familiarity_auc")["value"] == 1.0


@pytest.mark.parametrize(
    ("missing", "reason"), [("probe", "no probe split"), ("data", "it is not there")]
)
def test_what_cannot_be_measured_says_why(make_catalog, network, missing, reason):
    catalog = make_catalog(lambda record: record.split != "probe")
    home = Home(network, catalog) if missing == "probe" else Home(network, None, reason)
    section = measure([home], quiet=True)
    leak = of(section, "leak_auc")
    assert leak["value"] is None and reason in leak["reason"]
    assert not section.figures


def test_pictures_that_cannot_be_read_are_counted(make_catalog, network):
    whole = make_catalog()
    catalog = make_catalog(broken=[int(whole.select("test")[0])])
    section = measure([Home(network, catalog)], bootstrap=0, quiet=True)
    assert section.notes == ["colours: 1 pictures could not be used."]


def test_the_leak_is_drawn_against_the_number_of_donors(make_catalog, network, make_network):
    few = make_catalog(lambda record: record.source_identity != "p1")
    homes = [Home(network, make_catalog()), Home(make_network("few"), few)]
    section = measure(homes, bootstrap=0, quiet=True)
    assert set(section.figures) == {"leak", "leak-donors"}
    (axis,) = section.figures["leak-donors"][0].axes
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["with ADM, gap none"]
