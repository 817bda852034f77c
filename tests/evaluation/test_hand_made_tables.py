"""Tables that a stranger may bring: every one gives the right number, a reason or a clear error."""

import numpy as np
import pytest

from iid_jax.errors import DataError
from iid_jax.evaluation import results
from iid_jax.evaluation.table import COLUMNS, read_csv


@pytest.fixture
def stored(tmp_path):
    """Reads a scores file of (method, video_id, frame, identity, score) rows; None: no score."""

    def read(rows):
        lines = [",".join(COLUMNS)]
        for method, video, frame, identity, score in rows:
            label = int(method != "original")
            ending = ",,unreadable" if score is None else f"{score},0,ok"
            record = f"d/c:{method}/{video}#{frame}#0"
            start = f"{record},d/c,test,{video},{frame},0,{method},{identity},,{label}"
            lines.append(f"{start},{ending}")
        path = tmp_path / "scores.csv"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return read_csv(path)

    return read


def value(table, metric="video_auc", method="all", bootstrap=20):
    rows = results.detection_results(table, bootstrap, seed=0)
    (row,) = [r for r in rows if (r["metric"], r["method"]) == (metric, method)]
    return row


def test_ties_count_half(stored):
    table = stored([("original", "a", 0, "", 0.5), ("m", "b", 0, "", 0.5), ("m", "c", 0, "", 0.9)])
    assert value(table)["value"] == 0.75


def test_all_scores_equal_is_chance_and_finds_nothing_without_false_alarms(stored):
    rows = [("original", f"a{i}", 0, "", 0.5) for i in range(4)]
    table = stored(rows + [("m", f"b{i}", 0, "", 0.5) for i in range(4)])
    assert value(table)["value"] == 0.5
    assert value(table, "video_eer")["value"] == 0.5
    assert value(table, "video_tpr_at_1pct_fpr")["value"] == 0.0


def test_one_class_has_a_reason_in_every_metric_of_ranks(stored):
    table = stored([("m", "a", 0, "", 0.5), ("m", "b", 0, "", 0.7)])
    for row in results.detection_results(table, 5, 0):
        if row["metric"].startswith(("video", "frame")) and "ece" not in row["metric"]:
            assert row["value"] is None and "one class only" in row["reason"]


@pytest.mark.parametrize("score", ["nan", "inf", "-0.1", "1.01"])
def test_a_score_that_is_no_probability_is_refused_by_record(stored, score):
    with pytest.raises(DataError, match=r"d/c:m/b#0#0"):
        stored([("original", "a", 0, "", 0.2), ("m", "b", 0, "", score)])


def test_one_video_of_each_class_has_a_value_and_no_interval(stored):
    table = stored([("original", "a", i, "", 0.1 * i) for i in range(3)] + [("m", "b", 0, "", 0.9)])
    row = value(table)
    assert (row["value"], row["lo"], row["n_videos"]) == (1.0, None, 2)
    assert "fewer than 2 videos" in row["reason"]


def test_thousands_of_videos_are_measured(stored):
    rng = np.random.default_rng(0)
    rows = [("original", f"g{i}", 0, f"p{i % 50}", f"{s:.6f}")
            for i, s in enumerate(rng.beta(2, 5, 3000))]  # fmt: skip
    rows += [
        ("m", f"f{i}", 0, f"p{i % 50}", f"{s:.6f}") for i, s in enumerate(rng.beta(5, 2, 3000))
    ]
    row = value(stored(rows), bootstrap=50)
    assert row["n_videos"] == 6000
    assert row["lo"] < row["value"] < row["hi"] and row["value"] == pytest.approx(0.95, abs=0.02)
    assert value(stored(rows), "video_tpr_at_0.1pct_fpr", bootstrap=5)["reason"] == ""


def test_clips_of_one_name_under_several_methods_are_several_videos(stored):
    rows = [("original", "g0", 0, "", 0.1), ("original", "g1", 0, "", 0.6)]
    rows += [("Deepfakes", "000_003", 0, "", 0.9), ("FaceSwap", "000_003", 0, "", 0.2)]
    row = value(stored(rows))
    assert row["n_videos"] == 4
    # Merged, the one fake would have 0.55 and half of the pairs: 0.9 wins two, 0.2 one of two.
    assert row["value"] == 0.75
    assert value(stored(rows), method="FaceSwap")["value"] == 0.5


def test_a_genuine_and_a_fake_clip_of_one_name_are_refused(stored):
    table = stored([("original", "000", 0, "", 0.1), ("m", "000", 0, "", 0.9)])
    with pytest.raises(DataError, match="video '000' has frames of both labels"):
        value(table)


def test_duplicates_are_an_error_that_names_them(stored):
    with pytest.raises(DataError, match=r"appears twice: d/c:m/b#0#0"):
        stored([("original", "a", 0, "", 0.2), ("m", "b", 0, "", 0.5), ("m", "b", 0, "", 0.5)])


def test_missing_predictions_are_an_error_that_names_them(stored):
    with pytest.raises(DataError, match=r"status ok and no other: d/c:m/b#1#0"):
        stored([("original", "a", 0, "", 0.2), ("m", "b", 0, "", 0.5), ("m", "b", 1, "", "")])


def test_records_without_a_score_that_say_why_are_left_out_and_counted(stored):
    rows = [("original", "a", 0, "", 0.2), ("m", "b", 0, "", 0.5), ("m", "b", 1, "", None)]
    assert value(stored(rows))["value"] == 1.0
    assert value(stored(rows), "unscored")["value"] == 1


def test_the_wider_of_the_intervals_over_videos_and_people_is_reported(stored):
    rng = np.random.default_rng(1)
    rows = []
    for person in range(6):
        # All that is known is who it is: 20 videos of a person are worth little more than one.
        for clip in range(20):
            level = 0.2 + 0.1 * person + 0.01 * rng.random()
            rows.append(("original", f"g{person}_{clip}", 0, f"p{person}", level))
            rows.append(("m", f"f{person}_{clip}", 0, f"q{person}", level + 0.1))
    known = value(stored(rows), bootstrap=300)
    unknown = value(stored([(*r[:3], "", r[4]) for r in rows]), bootstrap=300)
    assert known["value"] == unknown["value"]
    assert known["hi"] - known["lo"] > 1.5 * (unknown["hi"] - unknown["lo"])


def test_a_manipulation_cannot_be_called_as_all_of_them_are(stored):
    table = stored([("original", "a", 0, "", 0.2), ("all", "b", 0, "", 0.5)])
    with pytest.raises(DataError, match="no manipulation may be called 'all'"):
        results.detection_results(table, 5, 0)


def test_a_clip_is_another_than_that_whose_name_holds_its_manipulation(stored):
    rows = [("original", "a", 0, "", 0.5), ("original", "b", 0, "", 0.5)]
    # Two clips x, and one called m/x: three videos, two of which score above the genuine ones.
    rows += [("m", "x", 0, "", 0.9), ("k", "x", 0, "", 0.9), ("m", "m/x", 0, "", 0.1)]
    row = value(stored(rows))
    assert (row["n_videos"], row["value"]) == (5, pytest.approx(2 / 3))


def test_a_spreadsheets_byte_order_mark_is_no_name_of_a_column(stored, tmp_path):
    rows = [("original", "a", 0, "", 0.2), ("m", "b", 0, "", 0.5)]
    plain = stored(rows)
    text = (tmp_path / "scores.csv").read_text(encoding="utf-8")
    (tmp_path / "marked.csv").write_text(text, encoding="utf-8-sig")
    assert value(read_csv(tmp_path / "marked.csv")) == value(plain)
