"""A first look shows and counts what the detector says of the pairs that were chosen."""

from types import SimpleNamespace

import numpy as np
import pytest

from iid_jax.config import Config, EvalConfig
from iid_jax.data import schema
from iid_jax.errors import DataError
from iid_jax.evaluation import examples, first_look, localisation
from iid_jax.evaluation.score import score

CONFIG = Config(seed=5, eval=EvalConfig(batch_size=16))


@pytest.fixture(scope="session")
def loaded(detector):
    return SimpleNamespace(**vars(detector), config=CONFIG, step=7)


@pytest.fixture
def seen(loaded, catalog):
    return first_look.look(loaded, catalog, "test", catalog, 8, seed=0, quiet=True)


def page(seen, loaded, catalog, trained_by="python -m iid_jax.main --config=c.py"):
    return first_look.text(seen, loaded, catalog, 0, "look.png", "the command", trained_by)


def rows(text):
    """The cells of the page's table, without its head."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in lines[1:]]


def test_pictures_are_the_chosen_pairs_genuine_first(seen, catalog):
    pairs = examples.choose_pairs(catalog, "test", 4, seed=0)
    assert seen.scored.rows.tolist() == pairs.ravel().tolist()
    ids = [catalog.record_id(row) for row in pairs.ravel()]
    assert seen.scored.table["record"].tolist() == ids
    assert [len(group) for group in seen.pairs.values()] == [2, 2]
    for pair in (pair for group in seen.pairs.values() for pair in group):
        assert pair.genuine.title.startswith("genuine: ") and pair.fake.title.startswith("fake: ")
        assert not np.isfinite(pair.genuine.truth).any() and np.isfinite(pair.fake.truth).all()


def test_each_score_and_box_is_the_one_that_an_evaluation_gives(seen, catalog, detect, loaded):
    whole = score(detect, catalog, catalog.select("test"), loaded.input_spec, 16, quiet=True)
    place = {record: i for i, record in enumerate(whole.table["record"].tolist())}
    at = [place[record] for record in seen.scored.table["record"].tolist()]
    np.testing.assert_allclose(seen.scored.table["score"], whole.table["score"][at], rtol=1e-5)
    for name in ("matrices", "boxes", "box_scores"):
        expected = getattr(whole, name)[at]
        np.testing.assert_allclose(getattr(seen.scored, name), expected, atol=1e-5)


def test_boxes_count_from_the_threshold_of_the_validation_split(seen, catalog, detect, loaded):
    expected = localisation.choose_threshold(detect, catalog, loaded.input_spec, 16, quiet=True)
    assert seen.operating.threshold == pytest.approx(expected.threshold, rel=1e-5)
    shown = [value for picture in seen.pictures for value in picture.scores]
    assert shown and min(shown) >= seen.operating.threshold
    best = seen.scored.box_scores >= seen.operating.threshold
    assert len(shown) == best.sum()


def test_threshold_is_of_the_data_that_the_detector_was_trained_on(loaded, catalog, make_catalog):
    elsewhere = make_catalog(lambda record: record.split == "val", name="home/default")
    seen = first_look.look(loaded, catalog, "test", elsewhere, 2, seed=0, quiet=True)
    assert seen.operating.data == "home/default"


def test_titles_say_which_pictures_are_on_the_wrong_side(loaded, catalog):
    """The same detector with all its levels raised, then lowered: all fake, then all genuine."""
    for level, ending in ((90.0, (", false alarm", "")), (-90.0, ("", ", missed"))):
        weights = {"gain": np.float32(3.0), "level": np.float32(level)}
        shifted = SimpleNamespace(**{**vars(loaded), "variables": {"params": weights}})
        seen = first_look.look(shifted, catalog, "test", catalog, 4, seed=0, quiet=True)
        value = f"{float(level > 0):.2f}"
        expected = [f"genuine: {value}{ending[0]}", f"fake: {value}{ending[1]}"] * 2
        assert [picture.title for picture in seen.pictures] == expected


def test_page_counts_what_is_in_its_table(seen, loaded, catalog):
    text = page(seen, loaded, catalog)
    table = rows(text)
    assert [row[0] for row in table] == ["blur", "blur", "smear", "smear"]
    best = sum(row[5] == "by the best" for row in table)
    found = best + sum(row[5] == "by another" for row in table)
    false = sum(int(row[7]) for row in table)
    high = [sum(float(row[column]) >= 0.5 for row in table) for column in (4, 2)]
    assert f"Of 4 fakes {high[0]} have P(fake) of at least 0.5" in text
    assert f"of 4 genuine pictures {high[1]}." in text
    more = sum(int(row[6]) for row in table)
    assert f"on {found} of 4 fakes, the best box alone on {best}. Further" in text
    assert f"boxes: {more} on the fakes, {false} on the genuine pictures." in text


def test_boxes_are_found_by_the_best_by_another_or_not(monkeypatch, loaded, catalog):
    """Boxes laid by hand: the truth first, the truth second, and none; one on a genuine face."""
    seen = first_look.look(loaded, catalog, "test", catalog, 6, seed=0, quiet=True)
    truth = [picture.truth for picture in seen.pictures]
    corner = (0.0, 0.0, 0.05, 0.05)
    boxes = np.full((6, 2, 4), np.nan)
    boxes[1], boxes[3], boxes[0, 0] = (truth[1], corner), (corner, truth[3]), truth[1]
    monkeypatch.setattr(localisation, "predicted", lambda *_: boxes)
    laid = first_look.look(loaded, catalog, "test", catalog, 6, seed=0, quiet=True)
    table = rows(page(laid, loaded, catalog))
    assert [row[5:] for row in table] == [
        ["by the best", "1", "1"],
        ["by another", "1", "0"],
        ["no", "0", "0"],
    ]


def test_page_says_how_it_was_made(seen, loaded, catalog):
    text = page(seen, loaded, catalog)
    assert text.startswith(first_look.MADE) and "](look.png)" in text
    assert "trained by `python -m iid_jax.main --config=c.py`, step 7, seed 5" in text
    assert f"fingerprint {catalog.fingerprint[:16]}" in text and "`the command`" in text
    assert f"score of {seen.operating.threshold:.3f}, chosen on the genuine" in text
    assert "training unknown" in page(seen, loaded, catalog, trained_by=None)


def test_page_and_picture_name_nothing_of_this_machine(seen, loaded, catalog):
    command = "python -m iid_jax.main show --checkpoint=/home/me/run --out=/tmp/look.png"
    text = first_look.text(seen, loaded, catalog, 0, "look.png", command, command)
    assert "/home" not in text and "/tmp" not in text and "--checkpoint=CHECKPOINT" in text


def test_plain_classifier_has_no_boxes_and_no_word_about_them(loaded, catalog):
    plain = SimpleNamespace(**{**vars(loaded), "anchors": None})
    seen = first_look.look(plain, catalog, "test", catalog, 4, seed=0, quiet=True)
    assert not any(len(picture.boxes) for picture in seen.pictures)
    text = page(seen, plain, catalog)
    assert "plain classifier" in text and "threshold" not in text and len(rows(text)[0]) == 5
    labels = [t.get_text() for t in first_look.sheet(seen, plain).legends[0].get_texts()]
    assert labels == ["manipulated area (truth)", "the box around it"]


def test_without_genuine_validation_pictures_the_threshold_is_one_half(loaded, make_catalog):
    keep = make_catalog(lambda r: r.split != "val" or r.label == schema.FAKE)
    seen = first_look.look(loaded, keep, "test", None, 4, seed=0, quiet=True)
    assert seen.operating is None
    assert "score of 0.5, there being no genuine" in page(seen, loaded, keep)


def test_unknown_split_is_refused_with_the_nearest_name(loaded, catalog):
    with pytest.raises(DataError, match=r"no split 'tset' .did you mean 'test'"):
        first_look.look(loaded, catalog, "tset", catalog, 4, seed=0, quiet=True)


def test_record_that_cannot_be_read_is_named(loaded, catalog, make_catalog):
    row = examples.choose_pairs(catalog, "test", 2, seed=0)[1, 1]
    broken = make_catalog(broken=[row])
    with pytest.raises(DataError, match=f"record {catalog.record_id(row)} cannot be shown"):
        first_look.look(loaded, broken, "test", catalog, 4, seed=0, quiet=True)
