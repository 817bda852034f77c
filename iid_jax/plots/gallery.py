"""The gallery: every generator of fakes and every augmentation, before and after."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from iid_jax.plots.pictures import TRUE, draw_box, grid

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from iid_jax.data.augment import Labelled


class Entry(NamedTuple):
    """A name and the same canvas before and after; after it with its mask and boxes drawn in."""

    name: str
    before: np.ndarray
    after: "Labelled"


def gallery(entries: Sequence[Entry], columns: int = 3) -> "Figure":
    """Draws entries in a grid: before, after, and the mask (grey where none is known)."""
    rows = -(-len(entries) // columns)
    figure, axes = grid(rows, 3 * columns, 1.5, 1.5, title=0.24)
    for number, entry in enumerate(entries):
        before, after, area = axes[3 * number : 3 * number + 3]
        side = entry.before.shape[0]
        before.imshow(entry.before)
        before.set_title(entry.name, fontsize=8, pad=3, loc="left")
        after.imshow(entry.after.image)
        for box in entry.after.boxes:
            draw_box(after, np.asarray(box) * side, TRUE)
        unknown = np.full((side, side), 0.9)
        mask = unknown if entry.after.mask is None else entry.after.mask
        area.imshow(mask, cmap="gray", vmin=0, vmax=1)
    return figure
