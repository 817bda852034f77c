"""The scores file: its exact form, what is read back from it, and what is refused."""

import numpy as np
import pytest

from iid_jax.errors import DataError
from iid_jax.evaluation import table as tables
from iid_jax.evaluation.table import COLUMNS, ScoreTable, read_csv, write_csv

HEADER = (
    "record,data,split,video_id,frame,face,method,identity,source_identity,label,score,logit,status"
)
LINES = [
    "d/c:m/a_b#0#0,d/c,test,m/a_b,0,0,m,a,b,1,0.731058579,1,ok",
    "d/c:original/a#0#0,d/c,test,original/a,0,0,original,a,,0,,,unreadable",
]


def small_table():
    logit = tables.as_stored(np.array([1.0 / 3.0, np.nan]))
    return ScoreTable(
        {
            "record": np.array(["d/c:m/ä_b#0#0", "d/c:original/a#0#0"]),
            "data": np.array(["d/c"] * 2),
            "split": np.array(["test"] * 2),
            "video_id": np.array(["m/ä_b", "original/a"]),
            "frame": np.array([0, 0]),
            "face": np.array([0, 0]),
            "method": np.array(["m", "original"]),
            "identity": np.array(["ä", "a"]),
            "source_identity": np.array(["b", ""]),
            "label": np.array([1, 0]),
            "score": tables.as_stored(tables.sigmoid(logit)),
            "logit": logit,
            "status": np.array(["ok", "unreadable"]),
        }
    )


def test_file_has_the_documented_columns_and_nine_digits(tmp_path):
    write_csv(tmp_path / "s.csv", small_table())
    text = (tmp_path / "s.csv").read_bytes().decode("utf-8")
    assert text == (
        f"{HEADER}\n"
        "d/c:m/ä_b#0#0,d/c,test,m/ä_b,0,0,m,ä,b,1,0.582570206,0.333333333,ok\n"
        "d/c:original/a#0#0,d/c,test,original/a,0,0,original,a,,0,,,unreadable\n"
    )


def test_what_is_read_equals_what_was_written(tmp_path):
    written = small_table()
    write_csv(tmp_path / "s.csv", written)
    found = read_csv(tmp_path / "s.csv")
    for name in COLUMNS:
        np.testing.assert_array_equal(found[name], written[name], err_msg=name)


def test_float32_logits_survive_the_file():
    logits = np.random.default_rng(0).normal(0, 30, 2000).astype(np.float32)
    assert (tables.as_stored(logits).astype(np.float32) == logits).all()


def test_sigmoid_is_finite_at_both_ends():
    np.testing.assert_array_equal(tables.sigmoid(np.array([-1e4, 0.0, 1e4])), [0.0, 0.5, 1.0])


def test_file_name_replaces_the_slash():
    assert tables.file_name("practice_faces/default", "test") == "practice_faces.default.test.csv"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a scores file"),
        ("a,b\n1,2\n", "not a scores file"),
        (HEADER + "\n", "holds no record"),
        ("\n".join([HEADER, LINES[0], "a,b"]), "line 3 has 2 values, not 13"),
        ("\n".join([HEADER, LINES[0].replace(",0,", f",{2**40},", 1)]), "is damaged"),
        ("\n".join([HEADER, LINES[0].replace("0.731058579", "much")]), "is damaged"),
        ("\n".join([HEADER, LINES[0].replace("0.731058579", "1.5")]), "a score of 0 to 1"),
        ("\n".join([HEADER, LINES[0].replace("0.731058579", "")]), "a score of 0 to 1"),
        ("\n".join([HEADER, LINES[1].replace("unreadable", "ok")]), "a score of 0 to 1"),
        ("\n".join([HEADER, LINES[0].replace("b,1,", "b,2,")]), "a label must be"),
        ("\n".join([HEADER, LINES[0], LINES[0]]), "appears twice"),
    ],
)
def test_file_that_is_no_scores_file_is_refused(tmp_path, text, message):
    path = tmp_path / "s.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_csv(path)


def test_good_lines_are_accepted(tmp_path):
    (tmp_path / "s.csv").write_text("\n".join([HEADER, *LINES]), encoding="utf-8")
    assert read_csv(tmp_path / "s.csv").failures() == {"unreadable": 1}


def test_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"gone\.csv"):
        read_csv(tmp_path / "gone.csv")


def test_unwritable_folder_leaves_no_half_file(tmp_path):
    with pytest.raises(DataError, match="cannot write"):
        write_csv(tmp_path / "no" / "s.csv", small_table())
