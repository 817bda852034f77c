"""Curves and histograms of what was measured."""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Longer names are cut: a legend is no wider than this many letters.
LONGEST = 36
# More names than this stand beside the curves, not over them.
CROWD = 6
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f")
_CURVES = {
    "loss": lambda name: "loss" in name,
    "held-out, during training": lambda name: name.rpartition("_")[2] in ("auc", "ap", "acc"),
    "learning rate": lambda name: name in ("learning_rate", "lr"),
}


def roc(curves: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> "Figure":
    """Draws ROC curves of name -> (labels (N,), scores (N,)); one class only is left out."""
    from sklearn.metrics import roc_curve

    figure, axes = _figure(1, 1, 6.4, 5.2)
    axes[0].plot([0, 1], [0, 1], color="0.75", lw=1, ls="--", zorder=0)
    for (name, (label, score)), style in zip(curves.items(), _styles(), strict=False):
        if len(np.unique(label)) == 2:
            false, true, _ = roc_curve(label, score)
            width = 2.4 if name == "all" else 1.4
            axes[0].plot(false, true, **style, lw=width, label=shown(name))
    axes[0].set(xlabel="genuine called fake", ylabel="fakes found", xlim=(0, 1), ylim=(0, 1.005))
    axes[0].set_aspect("equal")
    _legend(axes[0], "lower right")
    return figure


def score_histogram(scores: Mapping[str, np.ndarray]) -> "Figure":
    """Draws, one panel for each name, the histogram of P(fake) of its pictures or videos."""
    figure, axes = _figure(len(scores), 1, 6.4, max(0.95 * len(scores) + 0.45, 1.8), sharex=True)
    edges = np.linspace(0.0, 1.0, 41)
    for axis, (name, values), colour in zip(axes, scores.items(), _colours(), strict=False):
        share = np.full(len(values), 100.0 / max(len(values), 1))
        axis.hist(values, edges, weights=share, color=colour)
        axis.set_title(f"{shown(name)} ({len(values)})", loc="left", fontsize=9, pad=3)
        axis.set_ylabel("%", rotation=0, labelpad=8)
        axis.axvline(0.5, color="0.6", lw=0.8, ls=":")
    axes[-1].set(xlabel="P(fake)", xlim=(0, 1))
    return figure


def training_curves(lines: Sequence[Mapping[str, Any]]) -> "Figure":
    """Draws what a run's metrics.jsonl holds over the step: losses, held-out metrics, the rate."""
    names = sorted({name for line in lines for name, value in line.items() if _is_number(value)})
    panels = {title: [n for n in names if wanted(n)] for title, wanted in _CURVES.items()}
    panels = {title: chosen for title, chosen in panels.items() if chosen}
    figure, axes = _figure(1, max(len(panels), 1), 4.2 * max(len(panels), 1), 3.2)
    for axis, (title, chosen) in zip(axes, panels.items(), strict=False):
        for name, colour in zip(chosen, _colours(), strict=False):
            points = [
                (x["step"], x[name]) for x in lines if _is_number(x.get(name)) and "step" in x
            ]
            axis.plot(
                *zip(*points, strict=True), color=colour, lw=1.4, label=name, marker=".", ms=3
            )
        axis.set(title=title, xlabel="step")
        if len(chosen) > 1:
            axis.legend(frameon=False, fontsize=8)
    return figure


def shown(name: str) -> str:
    """Returns a name as matplotlib draws it: no formula between `$`, none hidden by a first `_`."""
    cut = name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"
    return (" " if cut.startswith("_") else "") + cut.replace("$", r"\$")


def _figure(
    rows: int, columns: int, width: float, height: float, **options: Any
) -> tuple[Any, Any]:
    """A white figure of the given inches and its axes, row-major."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    axes = figure.subplots(rows, columns, squeeze=False, **options).ravel().tolist()
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _legend(axis: Any, where: str) -> None:
    names = axis.get_legend_handles_labels()[1]
    if len(names) > CROWD:
        axis.figure.set_figwidth(axis.figure.get_figwidth() + 2.8)
        axis.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    elif names:
        axis.legend(loc=where, frameon=False)


def _colours() -> Iterable[str]:
    """The palette, over and over."""
    while True:
        yield from COLOURS


def _styles() -> Iterable[dict[str, str]]:
    """The palette in full lines, then in dashed and dotted ones."""
    for dashes in itertools.cycle(("-", "--", "-.")):
        yield from ({"color": colour, "ls": dashes} for colour in COLOURS)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
