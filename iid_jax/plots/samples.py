"""What the trainer is fed: training samples with their boxes and anchors."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from iid_jax import boxes as anchor_boxes
from iid_jax.plots.pictures import TRUE, draw_box, grid

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from iid_jax.config import LossConfig
    from iid_jax.data.samples import Sample, SampleMaker


def montage(samples: Sequence["Sample"], maker: "SampleMaker", loss: "LossConfig") -> "Figure":
    """Draws training samples: genuine, manipulated, mask, result with boxes, result with anchors.

    In the last column positive anchors are outlined, and so are, dotted, the ignored ones: those
    that lie partly on the true area, match no box and are never taken as negatives.
    """
    titles = (
        "genuine",
        "manipulated",
        "mask",
        "result, true boxes",
        "positive and ignored anchors",
    )
    blocks = 2 if len(samples) > 4 else 1
    rows, columns = math.ceil(len(samples) / blocks), len(titles) * blocks
    figure, axes = grid(rows, columns, 1.7, 1.7, title=0.06)
    for number, sample in enumerate(samples):
        first = number % rows * columns + number // rows * len(titles)
        _draw_sample(axes[first : first + len(titles)], sample, maker, loss)
        if number % rows == 0:
            for axis, title in zip(axes[first : first + len(titles)], titles, strict=True):
                axis.set_title(title, fontsize=8)
    return figure


def _draw_sample(axes: Sequence[Any], sample: "Sample", maker: "SampleMaker", loss: Any) -> None:
    side = sample.image.shape[0]
    mask = np.zeros((side, side)) if sample.mask is None else sample.mask
    unknown = np.full((side, side, 3), 235, np.uint8)
    for axis, image in zip(axes[:2], (sample.genuine, sample.manipulated), strict=True):
        axis.imshow(unknown if image is None else image)
    axes[2].imshow(mask, cmap="gray", vmin=0, vmax=1)
    outcome = sample.outcome + (f", {sample.recipe['blend']}" if "blend" in sample.recipe else "")
    axes[2].text(3, 3, outcome, color="white", fontsize=7, va="top")
    for axis in axes[3:]:
        axis.imshow(sample.image)
    for box in sample.boxes:
        draw_box(axes[3], box * side, TRUE)
    positive, ignored = _anchors_of(sample, maker, loss)
    corners = np.asarray(anchor_boxes.to_corners(maker.anchors)) * side
    for box in corners[ignored]:
        draw_box(axes[4], box, "white", width=0.35, style=":")
    for box in corners[positive]:
        draw_box(axes[4], box, TRUE, width=0.9)


def _anchors_of(sample: "Sample", maker: "SampleMaker", loss: "LossConfig") -> tuple[Any, Any]:
    arrays = maker.arrays(sample)
    truth = arrays["boxes"][None], arrays["boxes_valid"][None]
    positive = anchor_boxes.match(*truth, maker.anchors, loss.iou_threshold).positive
    ignored = anchor_boxes.ignored(positive, arrays["coverage"][None], loss.ignore_above)
    if loss.negatives == "all":
        ignored = np.zeros_like(ignored)
    return np.asarray(positive)[0], np.asarray(ignored)[0]
