"""Pictures with what is true of them and what a detector says of them."""

import io
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TRUE, PREDICTED, FACE = "#00e5a0", "#ff5c39", "#ffd23f"
# So many predicted boxes have their score beside them; more would hide the face.
BOLD = 3


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


class Found(NamedTuple):
    """A face to be drawn, boxes (x0, y0, x1, y1) in pixels of the picture, and what is said of it.

    `artifacts` are (box, score).
    """

    box: Sequence[float]
    text: str
    artifacts: Sequence[tuple[Sequence[float], float]] = ()


def png(figure: "Figure", dpi: int = 110) -> bytes:
    """Returns the figure as the bytes of a PNG file, the same for the same figure."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def examples(pictures: Sequence[Picture], columns: int = 6) -> "Figure":
    """Draws canvases in a grid with the true area's outline, predicted boxes and their scores."""
    rows = max(math.ceil(len(pictures) / columns), 1)
    figure, axes = grid(rows, columns, 1.75, 1.75, title=0.24)
    for axis, picture in zip(axes, pictures, strict=False):
        draw_picture(axis, picture)
    return figure


def detection(image: np.ndarray, faces: Iterable[Found]) -> "Figure":
    """Draws what was found in one picture, RGB uint8 (H, W, 3), at its own aspect ratio."""
    from matplotlib.figure import Figure

    height, width = image.shape[:2]
    scale = 8.0 / max(height, width)
    figure = Figure(figsize=(width * scale, height * scale))
    draw_faces(figure.add_axes((0, 0, 1, 1)), image, faces, size=10.0)
    return figure


def draw_faces(axis: Any, image: np.ndarray, faces: Iterable[Found], size: float = 6.5) -> None:
    """Draws a picture, RGB uint8 (H, W, 3), its faces and artifacts; texts of `size` points."""
    height, width = image.shape[:2]
    axis.imshow(image)
    axis.set_axis_off()
    for face in faces:
        draw_box(axis, face.box, FACE, face.text, width=2.0, size=size)
        _draw_predicted(axis, face.artifacts, BOLD, 0.8 * size)
    axis.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))


def draw_picture(axis: Any, picture: Picture, bold: int = BOLD) -> None:
    """Draws one canvas and what is to be drawn over it.

    Boxes after the first `bold`, best first, are thin and have no score.
    """
    side = picture.image.shape[0]
    axis.imshow(picture.image)
    axis.set_title(picture.title, fontsize=8, pad=3)
    if picture.mask is not None and picture.mask.min() < 0.5 < picture.mask.max():
        axis.contour(picture.mask, levels=[0.5], colors=[TRUE], linewidths=1.2)
    if picture.truth is not None and np.isfinite(picture.truth).all():
        draw_box(axis, picture.truth * side, TRUE, width=1.2, style="--")
    if picture.boxes is not None:
        scores = [None] * len(picture.boxes) if picture.scores is None else picture.scores
        _draw_predicted(axis, list(zip(picture.boxes * side, scores, strict=True)), bold)
    axis.set(xlim=(-0.5, side - 0.5), ylim=(side - 0.5, -0.5))


def _draw_predicted(
    axis: Any, drawn: Sequence[tuple[Any, float | None]], bold: int, size: float = 6.5
) -> None:
    """Draws (box, score), best first: those after the first `bold` below the others, and thin."""
    for box, _ in drawn[bold:]:
        draw_box(axis, box, PREDICTED, width=0.5)
    for box, chance in drawn[:bold]:
        draw_box(axis, box, PREDICTED, "" if chance is None else f"{chance:.2f}", size=size)


def draw_box(
    axis: Any,
    box: Any,
    colour: str,
    text: str = "",
    width: float = 1.4,
    style: str = "-",
    size: float = 6.5,
) -> None:
    """Draws a box (x0, y0, x1, y1), in pixels of the picture, with a text in its corner."""
    from matplotlib.patches import Rectangle

    x0, y0, x1, y1 = (float(v) for v in box)
    corner = (x0 - 0.5, y0 - 0.5)
    patch = Rectangle(corner, x1 - x0, y1 - y0, fill=False, ec=colour, lw=width, ls=style)
    axis.add_patch(patch)
    if text:
        label = {"facecolor": colour, "edgecolor": "none", "pad": 0.8}
        axis.text(x0, y0, text, fontsize=size, va="top", ha="left", bbox=label, clip_on=True)


def grid(
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
