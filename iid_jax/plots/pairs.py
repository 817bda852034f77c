"""Genuine pictures beside the fakes made from them, with a legend: a sheet for a reader."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from iid_jax.plots.pictures import PREDICTED, TRUE, Picture, draw_picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Inches. A sheet is 1200 pixels wide at the resolution of `png`.
_SIDE, _BESIDE, _BETWEEN, _MARGIN = 1.66, 0.04, 0.2, 0.08
_NAME, _TITLE, _HEAD = 0.34, 0.26, 0.3
_PER_ROW = 3
# So many predicted boxes have their score beside them.
BOLD = 1
_INK = "#1d2329"


class Pair(NamedTuple):
    """A genuine picture and the fake made from it."""

    genuine: Picture
    fake: Picture


def pair_sheet(
    groups: Mapping[str, Sequence[Pair]], notes: Sequence[str] = (), predicted: bool = True
) -> "Figure":
    """Draws name -> pairs, three to a row and each name from a new row, below legend and notes.

    `predicted`: whether the legend explains predicted boxes.
    """
    from matplotlib.figure import Figure

    rows = [
        (name if first == 0 else "", group[first : first + _PER_ROW])
        for name, group in groups.items()
        for first in range(0, len(group), _PER_ROW)
    ]
    pair = 2 * _SIDE + _BESIDE
    width = _NAME + _PER_ROW * (pair + _BETWEEN) - _BETWEEN + _MARGIN
    head = _HEAD * (1 + 0.62 * len(notes)) + _MARGIN
    size = width, head + len(rows) * (_SIDE + _TITLE) + _MARGIN
    figure = Figure(figsize=size, facecolor="white")
    _legend(figure, size, notes, predicted)
    for number, (name, row) in enumerate(rows):
        bottom = size[1] - head - (number + 1) * (_SIDE + _TITLE)
        figure.text(
            *(0.6 * _NAME / width, (bottom + _SIDE / 2) / size[1], name),
            rotation=90, ha="center", va="center", fontsize=10, color=_INK, weight="bold",
        )  # fmt: skip
        for place, shown in enumerate(row):
            left = _NAME + place * (pair + _BETWEEN)
            for picture, x in zip(shown, (left, left + _SIDE + _BESIDE), strict=True):
                _draw(figure, size, (x, bottom), picture)
    return figure


def _draw(
    figure: Any, size: tuple[float, float], corner: tuple[float, float], picture: Picture
) -> None:
    place = (corner[0] / size[0], corner[1] / size[1], _SIDE / size[0], _SIDE / size[1])
    axis = figure.add_axes(place)
    axis.set_axis_off()
    draw_picture(axis, picture, bold=BOLD)


def _legend(figure: Any, size: tuple[float, float], notes: Sequence[str], predicted: bool) -> None:
    from matplotlib.lines import Line2D

    lines = (
        ("manipulated area (truth)", {"color": TRUE, "lw": 2.0}),
        ("the box around it", {"color": TRUE, "lw": 1.6, "ls": "--"}),
        ("the detector's best box, with its score", {"color": PREDICTED, "lw": 2.0}),
        ("its other boxes", {"color": PREDICTED, "lw": 0.7}),
    )
    shown = lines if predicted else lines[:2]
    handles = [Line2D([], [], label=label, **style) for label, style in shown]
    top = 1 - 0.4 * _MARGIN / size[1]
    figure.legend(
        handles=handles, ncols=len(handles), loc="upper left", frameon=False, fontsize=9.5,
        bbox_to_anchor=((_NAME - 0.1) / size[0], top), borderaxespad=0, labelcolor=_INK,
    )  # fmt: skip
    for number, note in enumerate(notes):
        y = size[1] - _MARGIN - _HEAD * (0.85 + 0.62 * number)
        figure.text(_NAME / size[0], y / size[1], note, fontsize=9, va="top", color=_INK)
