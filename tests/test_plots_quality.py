"""Figures of a detector's scores: what is drawn is what was given."""

import numpy as np

from iid_jax import plots


def test_precision_recall_draws_curves_of_both_classes_and_the_share_of_fakes():
    label, score = np.array([0, 1, 1, 0]), np.array([0.1, 0.9, 0.4, 0.6])
    curves = {"all": (label, score), "one class": (label[1:3], score[1:3])}
    axis = plots.precision_recall(curves).axes[0]
    assert axis.get_lines()[0].get_label() == "all"
    assert len(axis.get_lines()) == 2
    assert list(axis.get_lines()[1].get_ydata()) == [0.5, 0.5]


def test_reliability_leaves_empty_bins_out_and_can_be_drawn_without_any_record():
    score, share = np.array([0.2, np.nan, 0.9]), np.array([0.1, np.nan, 1.0])
    figure = plots.reliability({"as scored": (score, share, np.array([5, 0, 7]))})
    assert list(figure.axes[0].get_lines()[1].get_xdata()) == [0.2, 0.9]
    nothing = np.full(3, np.nan)
    assert plots.png(plots.reliability({"none": (nothing, nothing, np.zeros(3, int))}))


def test_robustness_starts_from_clean_at_level_0():
    axis = plots.robustness({"blur": [(1, 0.8), (2, 0.7)]}, 0.9, "video AUC").axes[0]
    assert list(axis.get_lines()[0].get_xdata()) == [0, 1, 2]
    assert list(axis.get_lines()[0].get_ydata()) == [0.9, 0.8, 0.7]


def test_names_are_drawn_as_they_are():
    label, score = np.array([0, 1, 1, 0]), np.array([0.1, 0.9, 0.4, 0.6])
    names = ["all", r"$\frac$", "_hidden", "m" * 80]
    figure = plots.roc(dict.fromkeys(names, (label, score)))
    assert plots.png(figure)
    told = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert told[2] == " _hidden" and len(told[3]) < 40 and len(told) == 4
    assert plots.png(plots.score_histogram(dict.fromkeys(names, score)))
