"""Figures of one detector's scores beside the ROC: precision-recall, reliability, robustness."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from iid_jax.plots.curves import _colours, _figure, _legend, _styles, shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# (mean score, share of fakes, records) by bin, NaN where a bin is empty.
Bins = tuple[np.ndarray, np.ndarray, np.ndarray]


def precision_recall(curves: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> "Figure":
    """Draws precision over recall of name -> (labels (N,), scores (N,)); one class is left out.

    The dotted line of a curve is its share of fakes: what calling at random gives.
    """
    from sklearn.metrics import precision_recall_curve

    figure, axes = _figure(1, 1, 6.4, 5.2)
    for (name, (label, score)), style in zip(curves.items(), _styles(), strict=False):
        if len(np.unique(label)) == 2:
            precision, recall, _ = precision_recall_curve(label, score)
            width = 2.4 if name == "all" else 1.4
            axes[0].step(recall, precision, **style, lw=width, label=shown(name), where="post")
            axes[0].axhline(np.mean(label), color=style["color"], lw=0.8, ls=":")
    axes[0].set(xlabel="recall: fakes found", ylabel="precision: fakes among those called fake")
    axes[0].set(xlim=(0, 1.005), ylim=(0, 1.005))
    _legend(axes[0], "lower left")
    return figure


def reliability(curves: Mapping[str, Bins]) -> "Figure":
    """Draws the share of fakes over the mean score of each bin, and how many records it holds."""
    figure, axes = _figure(2, 1, 6.4, 5.2, sharex=True, height_ratios=(3, 1))
    axes[0].plot([0, 1], [0, 1], color="0.75", lw=1, ls="--", zorder=0)
    for (name, (score, share, count)), colour in zip(curves.items(), _colours(), strict=False):
        known = np.isfinite(score)
        axes[0].plot(score[known], share[known], color=colour, marker="o", ms=4, label=name)
        axes[1].stairs(count, np.linspace(0, 1, len(count) + 1), color=colour, lw=1.4)
    axes[0].set(ylabel="share that is fake", xlim=(0, 1), ylim=(-0.01, 1.01))
    axes[0].legend(loc="upper left", frameon=False)
    axes[1].set(xlabel="P(fake)", ylabel="records", yscale="symlog")
    return figure


def robustness(
    curves: Mapping[str, Sequence[tuple[int, float]]], clean: float | None, measure: str
) -> "Figure":
    """Draws a measure over the level of each corruption, from `clean` at level 0."""
    figure, axes = _figure(1, 1, 6.4, 4.4)
    start = [] if clean is None else [(0, clean)]
    for (name, points), colour in zip(curves.items(), _colours(), strict=False):
        line = [*start, *points]
        axes[0].plot(*zip(*line, strict=True), color=colour, marker="o", ms=4, label=name)
    if clean is not None:
        axes[0].axhline(clean, color="0.75", lw=1, ls="--", zorder=0)
    axes[0].axhline(0.5, color="0.85", lw=1, ls=":", zorder=0)
    axes[0].set(xlabel="level (0: clean)", ylabel=measure, xticks=range(6))
    axes[0].legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure
