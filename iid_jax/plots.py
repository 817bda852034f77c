"""Every figure of the package; each function returns a matplotlib Figure, made without a display.

matplotlib is imported when the first figure is drawn. Figures are on white, with the colours of
Okabe and Ito, which remain apart for colour-blind readers.
"""

import io
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from iid_jax import boxes as anchor_boxes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from iid_jax.config import LossConfig
    from iid_jax.data.samples import Sample, SampleMaker

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f")
TRUE, PREDICTED, FACE = "#00e5a0", "#ff5c39", "#ffd23f"
_CURVES = {
    "loss": lambda name: "loss" in name,
    "held-out, during training": lambda name: name.rpartition("_")[2] in ("auc", "ap", "acc"),
    "learning rate": lambda name: name in ("learning_rate", "lr"),
}


class Picture(NamedTuple):
    """A canvas to be shown: RGB uint8 (S, S, 3), a title, and what is to be drawn over it.

    `mask` (S, S) in 0..1 is outlined at 0.5; `boxes` (K, 4) in 0..1, with `scores` (K,), and
    `truth` (4,) or None.
    """

    image: np.ndarray
    title: str = ""
    mask: np.ndarray | None = None
    boxes: np.ndarray | None = None
    scores: np.ndarray | None = None
    truth: np.ndarray | None = None


def png(figure: "Figure", dpi: int = 110) -> bytes:
    """Returns the figure as the bytes of a PNG file, the same for the same figure."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def roc(curves: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> "Figure":
    """Draws ROC curves of name -> (labels (N,), scores (N,)); one class only is left out."""
    from sklearn.metrics import roc_curve

    figure, axes = _figure(1, 1, 6.4, 5.2)
    axes[0].plot([0, 1], [0, 1], color="0.75", lw=1, ls="--", zorder=0)
    for (name, (label, score)), colour in zip(curves.items(), _colours(), strict=False):
        if len(np.unique(label)) == 2:
            false, true, _ = roc_curve(label, score)
            width = 2.4 if name == "all" else 1.4
            axes[0].plot(false, true, color=colour, lw=width, label=name)
    axes[0].set(xlabel="genuine called fake", ylabel="fakes found", xlim=(0, 1), ylim=(0, 1.005))
    axes[0].set_aspect("equal")
    if axes[0].get_legend_handles_labels()[0]:
        axes[0].legend(loc="lower right", frameon=False)
    return figure


def score_histogram(scores: Mapping[str, np.ndarray]) -> "Figure":
    """Draws, one panel for each name, the histogram of P(fake) of its pictures or videos."""
    figure, axes = _figure(len(scores), 1, 6.4, max(0.95 * len(scores) + 0.45, 1.8), sharex=True)
    edges = np.linspace(0.0, 1.0, 41)
    for axis, (name, values), colour in zip(axes, scores.items(), _colours(), strict=False):
        share = np.full(len(values), 100.0 / max(len(values), 1))
        axis.hist(values, edges, weights=share, color=colour)
        axis.set_title(f"{name} ({len(values)})", loc="left", fontsize=9, pad=3)
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


def examples(pictures: Sequence[Picture], columns: int = 6) -> "Figure":
    """Draws canvases in a grid with the true area's outline, predicted boxes and their scores."""
    rows = max(math.ceil(len(pictures) / columns), 1)
    figure, axes = _grid(rows, columns, 1.75, 1.75, title=0.24)
    for axis, picture in zip(axes, pictures, strict=False):
        _draw_picture(axis, picture)
    return figure


def detection(
    image: np.ndarray,
    faces: Iterable[tuple[Sequence[float], float, Sequence[tuple[Sequence[float], float]]]],
) -> "Figure":
    """Draws what was found in one picture, RGB uint8 (H, W, 3), at its own aspect ratio.

    `faces` are (box, P(fake), [(artifact's box, its score), ...]), boxes (x0, y0, x1, y1) in
    pixels of the picture.
    """
    from matplotlib.figure import Figure

    height, width = image.shape[:2]
    scale = 8.0 / max(height, width)
    figure = Figure(figsize=(width * scale, height * scale))
    axis = figure.add_axes((0, 0, 1, 1))
    axis.imshow(image)
    axis.set_axis_off()
    for box, fake, artifacts in faces:
        _box(axis, box, FACE, f"P(fake) {fake:.2f}", width=2.0)
        for place, chance in artifacts:
            _box(axis, place, PREDICTED, f"{chance:.2f}")
    axis.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
    return figure


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
    figure, axes = _grid(rows, columns, 1.7, 1.7, title=0.06)
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
        _box(axes[3], box * side, TRUE)
    positive, ignored = _anchors_of(sample, maker, loss)
    corners = np.asarray(anchor_boxes.to_corners(maker.anchors)) * side
    for box in corners[ignored]:
        _box(axes[4], box, "white", width=0.35, style=":")
    for box in corners[positive]:
        _box(axes[4], box, TRUE, width=0.9)


def _anchors_of(sample: "Sample", maker: "SampleMaker", loss: "LossConfig") -> tuple[Any, Any]:
    arrays = maker.arrays(sample)
    truth = arrays["boxes"][None], arrays["boxes_valid"][None]
    positive = anchor_boxes.match(*truth, maker.anchors, loss.iou_threshold).positive
    ignored = anchor_boxes.ignored(positive, arrays["coverage"][None], loss.ignore_above)
    if loss.negatives == "all":
        ignored = np.zeros_like(ignored)
    return np.asarray(positive)[0], np.asarray(ignored)[0]


def _draw_picture(axis: Any, picture: Picture) -> None:
    side = picture.image.shape[0]
    axis.imshow(picture.image)
    axis.set_title(picture.title, fontsize=8, pad=3)
    if picture.mask is not None and picture.mask.min() < 0.5 < picture.mask.max():
        axis.contour(picture.mask, levels=[0.5], colors=[TRUE], linewidths=1.2)
    if picture.truth is not None and np.isfinite(picture.truth).all():
        _box(axis, picture.truth * side, TRUE, width=1.2, style="--")
    if picture.boxes is not None:
        scores = [None] * len(picture.boxes) if picture.scores is None else picture.scores
        for box, chance in zip(picture.boxes, scores, strict=True):
            _box(axis, box * side, PREDICTED, "" if chance is None else f"{chance:.2f}")
    axis.set(xlim=(-0.5, side - 0.5), ylim=(side - 0.5, -0.5))


def _box(axis: Any, box: Any, colour: str, text: str = "", width: float = 1.4, style="-") -> None:
    from matplotlib.patches import Rectangle

    x0, y0, x1, y1 = (float(v) for v in box)
    corner = (x0 - 0.5, y0 - 0.5)
    patch = Rectangle(corner, x1 - x0, y1 - y0, fill=False, ec=colour, lw=width, ls=style)
    axis.add_patch(patch)
    if text:
        label = {"facecolor": colour, "edgecolor": "none", "pad": 0.8}
        axis.text(x0, y0, text, fontsize=6.5, va="top", ha="left", bbox=label, clip_on=True)


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


def _grid(
    rows: int, columns: int, width: float, height: float, title: float
) -> tuple["Figure", list[Any]]:
    """A figure of empty axes, each of the given inches, with room for a title above each row.

    Placed by hand: matplotlib's own layout takes seconds for dozens of pictures.
    """
    from matplotlib.figure import Figure

    gap, top = 0.06, 0.26
    size = columns * (width + gap) + gap, rows * (height + title) - title + gap + top
    figure = Figure(figsize=size, facecolor="white")
    axes = []
    for row in range(rows):
        bottom = size[1] - top - (row + 1) * height - row * title
        for column in range(columns):
            left = gap + column * (width + gap)
            place = (left / size[0], bottom / size[1], width / size[0], height / size[1])
            axes.append(figure.add_axes(place))
            axes[-1].set_axis_off()
    return figure, axes


def _colours() -> Iterable[str]:
    """The palette, over and over."""
    while True:
        yield from COLOURS


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
