"""Results under corruptions: names of splits, and means over levels worked out by hand."""

import pytest

from iid_jax.data.corrupt import KINDS, Corruption
from iid_jax.evaluation import robustness


def row(split, value, method="all", metric="video_auc"):
    return {
        "data": "d/c", "split": split, "method": method, "metric": metric,
        "value": value, "lo": None, "hi": None, "n_videos": 4, "reason": "",
    }  # fmt: skip


def levels(kind, values=(0.9, 0.8, 0.7, 0.6, 0.5)):
    return [row(f"test@{kind}-{level}", value) for level, value in enumerate(values, 1)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("test", ("test", None)),
        ("test@blur-3", ("test", Corruption("blur", 3))),
        ("test@blur", ("test@blur", None)),
        ("test@smudge-3", ("test@smudge-3", None)),
        ("test@blur-6", ("test@blur-6", None)),
    ],
)
def test_split_names_its_corruption(name, expected):
    assert robustness.split_of(name) == expected


def test_mean_is_over_all_five_levels_or_not_at_all():
    (mean,) = robustness._means(levels("blur"), "d/c", "test")
    assert (mean["split"], mean["value"]) == ("test@blur", pytest.approx(0.7))
    assert robustness._means(levels("blur")[:4], "d/c", "test") == []


def test_mean_of_levels_of_which_one_is_undefined_is_undefined_and_says_why():
    rows = levels("codec")
    rows[2] |= {"value": None, "reason": "not made from videos"}
    (mean,) = robustness._means(rows, "d/c", "test")
    assert (mean["value"], mean["reason"]) == (None, "not made from videos")


def test_mean_of_levels_that_lack_videos_says_so():
    rows = levels("blur")
    rows[4]["n_videos"] = 3
    (mean,) = robustness._means(rows, "d/c", "test")
    assert mean["n_videos"] == 3 and "not all of the same videos" in mean["reason"]


def test_mean_of_pixels_needs_all_six_kinds_and_leaves_the_codec_out():
    kinds = [name for name, kind in KINDS.items() if not kind.video_only]
    rows = [r for i, kind in enumerate(kinds) for r in levels(kind, [i / 10] * 5)]
    means = robustness._means(rows + levels("codec", [1.0] * 5), "d/c", "test")
    (pixels,) = [r for r in means if r["split"] == "test@pixels"]
    assert pixels["value"] == pytest.approx(0.25)
    means = robustness._means(rows[5:] + levels("codec"), "d/c", "test")
    assert not [r for r in means if r["split"] == "test@pixels"]


def test_curves_and_rows_have_clean_beside_the_levels():
    worse = levels("blur")
    worse += robustness._means(worse, "d/c", "test")
    curves, clean = robustness.curves([row("test", 0.95)], worse)
    assert clean == 0.95 and [level for level, _ in curves["blur"]] == [1, 2, 3, 4, 5]
    values = [0.9, 0.8, 0.7, 0.6, 0.5]
    assert [value for _, value in curves["blur"]] == values
    (line,) = robustness.rows_by_kind([row("test", 0.95)], worse)["rows"]
    assert [cell["value"] for cell in line["cells"]] == pytest.approx([0.95, *values, 0.7])
