"""A video's scores over time, above some of its frames."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from iid_jax.plots.curves import COLOURS
from iid_jax.plots.pictures import Found, draw_faces

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = 4
# Inches: the curve with its axis' labels, and a frame with its title.
CURVE, FRAME, MARGIN = 1.9, 2.45, 0.1


def footage(
    times: Sequence[float],
    scores: Sequence[float | None],
    frames: Sequence[tuple[str, np.ndarray, Sequence[Found]]],
) -> "Figure":
    """Draws P(fake) over the seconds, gaps where there is none, and frames below.

    `times` and `scores` are those of all frames looked at; `frames` are (title, RGB uint8
    (H, W, 3), faces as in `detection`).
    """
    from matplotlib.figure import Figure

    rows = max(-(-len(frames) // COLUMNS), 1)
    width, height = COLUMNS * FRAME + 2 * MARGIN, CURVE + rows * FRAME + MARGIN
    figure = Figure(figsize=(width, height), facecolor="white")
    below = (height - CURVE) / height
    curve = figure.add_axes((0.07, below + 0.45 / height, 0.91, 1 - below - 0.75 / height))
    _draw_curve(curve, times, scores)
    places = figure.add_gridspec(
        rows,
        COLUMNS,
        left=MARGIN / width,
        right=1 - MARGIN / width,
        bottom=MARGIN / height,
        top=below - 0.25 / height,
        wspace=0.04,
        hspace=0.12,
    )
    for number, (title, image, faces) in enumerate(frames):
        axis = figure.add_subplot(places[divmod(number, COLUMNS)])
        draw_faces(axis, image, faces)
        axis.set_title(title, fontsize=8, pad=3)
    return figure


def _draw_curve(axis: Any, times: Sequence[float], scores: Sequence[float | None]) -> None:
    values = np.array([np.nan if score is None else score for score in scores], float)
    axis.plot(times, values, "o-", color=COLOURS[0], markersize=3, linewidth=1)
    axis.set(ylim=(0, 1), yticks=(0, 0.5, 1), ylabel="P(fake)")
    axis.set_xlabel("seconds", labelpad=1)
    known = values[np.isfinite(values)]
    if len(known):
        axis.axhline(known.mean(), color=COLOURS[1], linewidth=1, linestyle="--")
        axis.set_title(f"mean of {len(known)} frames: {known.mean():.3f}", fontsize=9)
