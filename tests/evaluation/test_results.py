"""Results by method and over all, the leak, and means over videos, worked out by hand."""

import numpy as np
import pytest

from iid_jax.data.roles import roles
from iid_jax.errors import DataError
from iid_jax.evaluation import page, results
from iid_jax.evaluation.table import ScoreTable
from iid_jax.leak_metrics import Roles

KEYS = ["data", "split", "method", "metric", "value", "lo", "hi", "n_videos", "reason"]


def table(rows, split="test"):
    """A table of (method, identity, frame, score) rows; a score of None is unreadable."""
    method, identity, frame, score = (list(column) for column in zip(*rows, strict=True))
    video = [f"{m}/{i}" for m, i in zip(method, identity, strict=True)]
    known = np.array([s is not None for s in score])
    return ScoreTable(
        {
            "record": np.array([f"d/c:{v}#{f}#0" for v, f in zip(video, frame, strict=True)]),
            "data": np.full(len(rows), "d/c"),
            "split": np.full(len(rows), split),
            "video_id": np.array(video),
            "frame": np.array(frame),
            "face": np.zeros(len(rows), int),
            "method": np.array(method),
            "identity": np.array(identity),
            "source_identity": np.full(len(rows), ""),
            "label": np.array([int(m != "original") for m in method]),
            "score": np.array([np.nan if s is None else s for s in score]),
            "logit": np.zeros(len(rows)),
            "status": np.where(known, "ok", "unreadable"),
        }
    )


MIXED = table(
    [
        ("original", "a", 0, 0.1),
        ("original", "a", 1, 0.5),
        ("original", "b", 0, 0.4),
        ("easy", "a", 0, 0.9),
        ("easy", "b", 0, 0.8),
        ("hard", "a", 0, 0.2),
        ("hard", "b", 0, 0.35),
        ("hard", "b", 1, None),
    ]
)


def found(rows, method, metric):
    (row,) = [r for r in rows if r["method"] == method and r["metric"] == metric]
    return row


def test_method_is_its_fakes_against_all_genuine_records():
    rows = results.detection_results(MIXED, bootstrap=20, seed=0)
    # Genuine videos: 0.3 and 0.4. Hard fakes: 0.2 and 0.35, of four pairs one is in order.
    assert found(rows, "easy", "video_auc")["value"] == 1.0
    assert found(rows, "hard", "video_auc")["value"] == 0.25
    assert found(rows, "all", "video_auc")["value"] == (4 + 1) / 8
    # Genuine frames 0.1, 0.5, 0.4: 0.2 and 0.35 beat 0.1 only.
    assert found(rows, "hard", "frame_auc")["value"] == pytest.approx(2 / 6)
    assert found(rows, "hard", "video_auc")["n_videos"] == 4


def test_results_have_the_documented_keys_and_one_row_for_each_metric():
    rows = results.detection_results(MIXED, bootstrap=5, seed=0)
    assert all(list(row) == KEYS for row in rows)
    names = [(row["method"], row["metric"]) for row in rows]
    assert len(set(names)) == len(names)
    assert {method for method, _ in names} == {"all", "easy", "hard"}


def test_records_without_a_score_are_counted():
    rows = results.detection_results(MIXED, bootstrap=5, seed=0)
    assert found(rows, "all", "unscored")["value"] == 1


def test_one_class_is_undefined_with_the_reason():
    only = MIXED.take(MIXED["method"] == "easy")
    row = found(results.detection_results(only, bootstrap=5, seed=0), "all", "video_auc")
    assert (row["value"], row["lo"], row["hi"]) == (None, None, None)
    assert "one class only" in row["reason"]


def test_results_of_one_video_of_each_class_have_no_interval_but_can_be_told():
    two = MIXED.take(np.isin(MIXED["video_id"], ["original/a", "easy/a"]))
    rows = results.detection_results(two, bootstrap=5, seed=0)
    assert found(rows, "all", "video_auc")["value"] == 1.0
    assert "video AUC 1.000" in page.verdict(rows)[0]


def test_video_of_both_labels_is_refused():
    columns = dict(MIXED.columns)
    columns["video_id"] = np.where(columns["frame"] == 0, "same", columns["video_id"])
    with pytest.raises(DataError, match="both labels"):
        results.detection_results(ScoreTable(columns), bootstrap=5, seed=0)


NEW = [("original", f"new{i}", 0, 0.3 + 0.01 * i) for i in range(4)]
DONORS = [("original", f"donor{i}", 0, 0.9) for i in range(3)]
SEEN = [("original", f"seen{i}", 0, 0.1) for i in range(3)]
ROLES = Roles(frozenset(f"donor{i}" for i in range(3)), frozenset(f"seen{i}" for i in range(3)))


def leak(probe, test=NEW):
    rows = results.leak_results(table(test), table(probe, "probe"), ROLES, bootstrap=20, seed=0)
    return {row["metric"]: row for row in rows}


def test_donors_called_fake_are_a_full_leak():
    measured = leak([*DONORS, *SEEN])
    assert measured["leak_auc"]["value"] == 1.0
    assert measured["familiarity_auc"]["value"] == 1.0
    assert measured["leak_auc"]["method"] == "all"


def test_leak_sets_donors_as_positives_against_new_people():
    donors = [("original", f"donor{i}", 0, score) for i, score in enumerate((0.31, 0.05, 0.05))]
    # Of 3 x 4 pairs, 0.31 is above 0.30 and level with 0.31: 1.5.
    assert leak([*donors, *SEEN])["leak_auc"]["value"] == pytest.approx(1.5 / 12)


def test_fakes_of_the_test_split_take_no_part_in_the_leak():
    fakes = [("easy", f"new{i}", 0, 0.95) for i in range(4)]
    assert leak([*DONORS, *SEEN], NEW + fakes) == leak([*DONORS, *SEEN])


def test_leak_without_donors_in_the_probe_is_undefined():
    measured = leak(SEEN)
    assert measured["leak_auc"]["value"] is None and measured["leak_auc"]["reason"]
    assert measured["familiarity_auc"]["value"] == 1.0


def test_roles_are_read_from_the_train_split_alone(catalog):
    known = roles(catalog)
    assert known.genuine == {f"p{i}" for i in range(6)}
    assert known.donors == {"p0", "p1", "p2"}


def test_donors_of_a_manipulation_kept_out_of_training_are_no_donors(make_catalog):
    catalog = make_catalog(lambda r: r.method != "smear" or r.identity == "p1")
    assert roles(catalog, ("smear",)).donors == {"p2"}
