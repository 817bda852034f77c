"""The figures of the measurements; each function returns a matplotlib Figure on white.

matplotlib is imported when the first figure is drawn.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from iid_jax.plots import COLOURS, TRUE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# A value with its interval; no interval where the ends are None.
Value = tuple[float, float | None, float | None]
MARKERS = ("o", "s", "^", "D", "v")
# Of the width: so far apart stand two series at the same x.
_APART = 0.012
# Of series beyond the palette.
STROKES = ("-", "--", ":")
IN_A_ROW = 3


def probe_curves(
    curves: Mapping[str, Sequence[Mapping[str, float]]], chance: float, chance_loss: float
) -> "Figure":
    """Draws loss and accuracy of fitting a probe, and its accuracy on test pictures, by step."""
    panels = {
        "loss": ("loss on fitted pictures, nats", chance_loss),
        "accuracy": ("accuracy on fitted pictures", chance),
        "test_accuracy": ("accuracy on test pictures", chance),
    }
    figure, axes = axes_grid(1, len(panels), 4.3, 3.4)
    for axis, (key, (title, guess)) in zip(axes, panels.items(), strict=True):
        for number, (name, points) in enumerate(curves.items()):
            steps = [point["step"] for point in points]
            drawn = {"color": colour(number), "ls": stroke(number), "lw": 1.6, "label": name}
            axis.plot(steps, [p[key] for p in points], **drawn)
        axis.axhline(guess, color="0.5", lw=1, ls=":")
        axis.set(title=title, xlabel="step of L-BFGS", ylim=(0, None))
    axes[0].legend(frameon=False, fontsize=8)
    return figure


def whiskers(groups: Mapping[str, Mapping[str, Value]], reference: float | None = None) -> "Figure":
    """Draws one panel for each group: names down the side, a dot and its interval for each.

    The first name is at the top; a `reference` is a dotted line.
    """
    names = list(dict.fromkeys(name for values in groups.values() for name in values))
    height = 0.34 * len(names) + 0.9
    figure, axes = axes_grid(1, len(groups), 3.3, height, sharey=True)
    for axis, (title, values) in zip(axes, groups.items(), strict=True):
        for name, value in values.items():
            place = names.index(name)
            dot(axis, value, place, colour(place), vertical=False)
            axis.annotate(
                f"{value[0]:.3f}", (value[0], place), (0, 6), textcoords="offset points",
                fontsize=7.5, ha="center",
            )  # fmt: skip
        if reference is not None:
            axis.axvline(reference, color="0.5", lw=1, ls=":")
        axis.set(title=title, ylim=(len(names) - 0.5, -0.7))
        axis.margins(x=0.12)
        axis.grid(axis="x", color="0.92")
        axis.set_yticks(range(len(names)), names)
    return figure


def grouped(
    panels: Mapping[str, Mapping[str, Mapping[str, Value]]],
    reference: float | None = None,
    xlabel: str = "",
) -> "Figure":
    """Draws panel -> series -> category -> value: dots with intervals, categories side by side."""
    longest = max(len(label) for series in panels.values() for label in series)
    figure, axes = axes_for(len(panels), IN_A_ROW, 4.4 + 0.07 * longest, 3.4)
    for axis, (title, series) in zip(axes, panels.items(), strict=True):
        categories = list(dict.fromkeys(c for values in series.values() for c in values))
        step = 0.7 / max(len(series), 1)
        for number, (label, values) in enumerate(series.items()):
            shift = (number - (len(series) - 1) / 2) * step
            marker = MARKERS[number % len(MARKERS)]
            for category, value in values.items():
                place = categories.index(category) + shift
                dot(axis, value, place, colour(number), vertical=True, marker=marker)
            axis.plot([], [], color=colour(number), marker=marker, ls="", label=label)
        if reference is not None:
            axis.axhline(reference, color="0.5", lw=1, ls=":")
        axis.set_xticks(range(len(categories)), categories, rotation=25, ha="right", fontsize=8)
        axis.set(title=title, xlabel=xlabel, xlim=(-0.7, len(categories) - 0.3))
        axis.set_ylim(bottom=min(0.0, axis.get_ylim()[0]))
        axis.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def embedding(
    panels: Sequence[tuple[str, np.ndarray, np.ndarray, Mapping[int, str], np.ndarray]],
    columns: int,
) -> "Figure":
    """Draws panels of points: (title, points (N, 2), group (N,), names of groups, cross (N,)).

    Points of which `cross` is true are drawn as crosses, the others as dots. Groups beyond the
    palette, and people, have no legend: what counts is whether colours keep together.
    """
    from matplotlib import colormaps

    figure, axes = axes_for(len(panels), columns, 3.9, 3.9)
    for axis, (title, points, group, names, cross) in zip(axes, panels, strict=True):
        many = len(names) == 0
        for number, value in enumerate(np.unique(group).tolist()):
            shade = colormaps["tab20"](number % 20) if many else colour(value)
            for marker, kind in (("o", ~cross), ("x", cross)):
                chosen = (group == value) & kind
                options = {"lw": 0.8} if marker == "x" else {"lw": 0}
                axis.scatter(*points[chosen].T, s=13, color=shade, marker=marker, **options)
            if not many:
                axis.plot([], [], "o", color=shade, ms=4, label=names[value])
        axis.set(title=title, xticks=[], yticks=[])
        if not many:
            axis.legend(frameon=False, fontsize=8, loc="best")
    return figure


def heat(panels: Sequence[tuple[str, np.ndarray, np.ndarray]], symmetric: bool = True) -> "Figure":
    """Draws (title, picture (S, S, 3), values (g, g)) with the values over the picture.

    Cells of NaN stay clear. One colour scale for all panels, symmetric about 0 or from 0.
    """
    figure, axes = axes_for(len(panels), 4, 3.2, 3.1)
    known = [values[np.isfinite(values)] for _, _, values in panels]
    top = max((float(np.abs(v).max()) for v in known if len(v)), default=1.0) or 1.0
    for axis, (title, picture, values) in zip(axes, panels, strict=True):
        side = picture.shape[0]
        place = (-0.5, side - 0.5, side - 0.5, -0.5)
        axis.imshow(picture)
        drawn = axis.imshow(
            np.ma.masked_invalid(values), cmap="RdBu_r" if symmetric else "inferno", alpha=0.62,
            vmin=-top if symmetric else 0.0, vmax=top, extent=place, interpolation="nearest",
        )  # fmt: skip
        axis.set_title(title, fontsize=9)
        axis.set_axis_off()
    figure.colorbar(drawn, ax=axes, shrink=0.7)
    return figure


def lines(
    panels: Mapping[str, Mapping[str, Sequence[tuple[float, Value]]]],
    xlabel: str,
    ylabel: str,
    reference: float | None = None,
) -> "Figure":
    """Draws panel -> series -> [(x, value)] with intervals; lines go through the means at each x.

    Series stand a little beside each other, so that none hides another.
    """
    figure, axes = axes_grid(1, len(panels), 4.6, 3.5, sharey=True)
    for axis, (title, series) in zip(axes, panels.items(), strict=True):
        places = [x for points in series.values() for x, _ in points]
        apart = _APART * (max(places) - min(places))
        for number, (label, points) in enumerate(series.items()):
            beside = (number - (len(series) - 1) / 2) * apart
            marker = MARKERS[number % len(MARKERS)]
            at: dict[float, list[float]] = {}
            for x, value in points:
                dot(axis, value, x + beside, colour(number), vertical=True, marker=marker)
                at.setdefault(x, []).append(value[0])
            path = [(x + beside, float(np.mean(at[x]))) for x in sorted(at)]
            drawn = {"color": colour(number), "ls": stroke(number), "lw": 1.3, "label": label}
            axis.plot(*zip(*path, strict=True), **drawn)
        if reference is not None:
            axis.axhline(reference, color="0.5", lw=1, ls=":")
        axis.set(title=title, xlabel=xlabel)
        # What is counted: subsets, donors.
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.legend(frameon=False, fontsize=8)
    axes[0].set_ylabel(ylabel)
    return figure


def overlays(rows: Sequence[tuple[str, np.ndarray, np.ndarray | None, Mapping[str, np.ndarray]]]):
    """Draws (title, picture, true mask or None, name of a map -> (S, S)), a row for each.

    Maps are scaled to their own largest value; the true area is outlined.
    """
    names = list(rows[0][3])
    figure, axes = axes_grid(len(rows), 1 + len(names), 1.75, 1.8)
    for number, (title, picture, mask, maps) in enumerate(rows):
        here = axes[number * (1 + len(names)) : (number + 1) * (1 + len(names))]
        for axis, (name, values) in zip(here, {"": None, **maps}.items(), strict=True):
            axis.imshow(picture)
            if values is not None and values.max() > 0:
                axis.imshow(values / values.max(), cmap="inferno", alpha=0.6, vmin=0, vmax=1)
            if mask is not None and mask.min() < 0.5 < mask.max():
                axis.contour(mask, levels=[0.5], colors=[TRUE], linewidths=1.2)
            axis.set_axis_off()
            if number == 0 and name:
                axis.set_title(name, fontsize=8)
        here[0].set_title(title, fontsize=8)
    return figure


def strips(rows: Sequence[tuple[str, Sequence[np.ndarray]]]) -> "Figure":
    """Draws pictures (S, S, 3) in rows, each with a title at its left."""
    width = max(len(pictures) for _, pictures in rows)
    figure, axes = axes_grid(len(rows), width, 1.15, 1.2)
    for number, (title, pictures) in enumerate(rows):
        here = axes[number * width : (number + 1) * width]
        for axis in here:
            axis.set_axis_off()
        for axis, picture in zip(here, pictures, strict=False):
            axis.imshow(picture)
        here[0].set_title(title, fontsize=8, loc="left")
    return figure


def table_heat(title: str, values: np.ndarray, rows: Sequence[str], columns: Sequence[str]):
    """Draws counts (R, C) as a shaded table."""
    figure, (axis,) = axes_grid(1, 1, 1.1 * len(columns) + 1.8, 0.42 * len(rows) + 1.4)
    axis.imshow(values, cmap="Blues", aspect="auto")
    axis.set_xticks(range(len(columns)), columns, rotation=25, ha="right")
    axis.set_yticks(range(len(rows)), rows)
    for (row, column), value in np.ndenumerate(values):
        shade = "white" if value > 0.6 * values.max() else "black"
        axis.text(column, row, f"{value:.0f}", ha="center", va="center", color=shade, fontsize=9)
    axis.set_title(title, fontsize=10)
    return figure


def dot(
    axis: Any, value: Value, place: float, shade: str, vertical: bool, marker: str = "o"
) -> None:
    """Draws one value with its interval at a place of the other axis."""
    point, lo, hi = value
    if lo is not None:
        span = [lo, hi], [place, place]
        axis.plot(*(span[::-1] if vertical else span), color=shade, lw=1.4, solid_capstyle="butt")
    at = (place, point) if vertical else (point, place)
    axis.plot(*at, color=shade, marker=marker, ms=5)


def colour(number: int) -> str:
    """Returns the palette's colour of a series."""
    return COLOURS[number % len(COLOURS)]


def stroke(number: int) -> str:
    """Returns the line of a series: another one where the palette's colours come again."""
    return STROKES[number // len(COLOURS) % len(STROKES)]


def axes_for(count: int, most: int, width: float, height: float) -> tuple[Any, list[Any]]:
    """Returns a figure and the axes of `count` panels of the given inches, `most` in a row."""
    columns = min(most, count)
    figure, axes = axes_grid(math.ceil(count / columns), columns, width, height)
    for axis in axes[count:]:
        axis.set_axis_off()
    return figure, axes[:count]


def axes_grid(
    rows: int, columns: int, width: float, height: float, **options: Any
) -> tuple[Any, list[Any]]:
    """Returns a figure and its axes, row-major, each of the given inches."""
    from matplotlib.figure import Figure

    size = columns * width, rows * height
    figure = Figure(figsize=size, layout="constrained", facecolor="white")
    axes = figure.subplots(rows, columns, squeeze=False, **options).ravel().tolist()
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    return figure, axes
