"""Figures show the numbers they were given, at the places they were given for."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

from iid_jax import boxes, plots
from iid_jax.config import LossConfig
from iid_jax.plots import Picture

SIDE = 112


def rectangles(axis, colour):
    """(x0, y0, x1, y1) in pixels, edges at whole numbers, of the boxes drawn in a colour."""
    found = [p for p in axis.patches if isinstance(p, Rectangle) and to_hex(p.get_ec()) == colour]
    return [
        (p.get_x() + 0.5, p.get_y() + 0.5, p.get_x() + p.get_width() + 0.5,
         p.get_y() + p.get_height() + 0.5)
        for p in found
    ]  # fmt: skip


def noise(seed=0, shape=(SIDE, SIDE, 3)):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def test_roc_goes_through_the_points_worked_out_by_hand():
    label, score = np.array([0, 0, 1, 1]), np.array([0.1, 0.6, 0.4, 0.9])
    axis = plots.roc({"all": (label, score)}).axes[0]
    (line,) = [line for line in axis.lines if line.get_label() == "all"]
    points = set(zip(*(values.tolist() for values in line.get_data()), strict=True))
    assert {(0.0, 0.5), (0.5, 0.5), (0.5, 1.0), (1.0, 1.0)} <= points


def test_roc_of_one_class_draws_no_curve():
    axis = plots.roc({"all": (np.ones(3, int), np.array([0.1, 0.2, 0.3]))}).axes[0]
    assert axis.get_legend() is None and len(axis.lines) == 1


def test_histogram_has_a_panel_for_each_name_whose_bars_add_to_a_hundred():
    figure = plots.score_histogram({"original": np.full(7, 0.1), "m": np.linspace(0, 1, 50)})
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["original (7)", "m (50)"]
    for axis in figure.axes:
        assert sum(bar.get_height() for bar in axis.patches) == pytest.approx(100.0)


def test_histogram_of_nothing_is_drawn():
    assert len(plots.png(plots.score_histogram({"none": np.zeros(0)}))) > 0


def test_training_curves_are_the_lines_of_the_log():
    log = [
        {"step": 10, "loss": 2.0, "loss_cls": 0.7, "learning_rate": 0.1, "share_partial": 0.4},
        {"step": 20, "loss": 1.0, "loss_cls": 0.6, "learning_rate": 0.05},
        {"step": 20, "val_video_auc": 0.8, "note": "text"},
        {"step": 30, "loss": float("nan")},
    ]
    panels = {axis.get_title(): axis for axis in plots.training_curves(log).axes}
    assert list(panels) == ["loss", "held-out, during training", "learning rate"]
    drawn = {line.get_label(): line.get_xydata().tolist() for line in panels["loss"].lines}
    assert drawn == {"loss": [[10, 2.0], [20, 1.0]], "loss_cls": [[10, 0.7], [20, 0.6]]}
    assert panels["held-out, during training"].lines[0].get_xydata().tolist() == [[20, 0.8]]


def test_boxes_are_drawn_where_they_are_on_the_canvas():
    box = np.array([[0.25, 0.5, 0.75, 1.0]])
    picture = Picture(noise(), "m 0.90", boxes=box, scores=np.array([0.87]), truth=box[0] / 2)
    axis = plots.examples([picture]).axes[0]
    assert rectangles(axis, plots.PREDICTED) == [(28.0, 56.0, 84.0, 112.0)]
    assert rectangles(axis, plots.TRUE) == [(14.0, 28.0, 42.0, 56.0)]
    assert [text.get_text() for text in axis.texts] == ["0.87"]
    assert axis.get_title() == "m 0.90"


def test_true_mask_is_outlined_at_one_half():
    mask = np.zeros((SIDE, SIDE), np.float32)
    mask[20:60, 30:90] = 1.0
    axis = plots.examples([Picture(noise(), mask=mask)]).axes[0]
    (outline,) = axis.collections
    points = np.concatenate([path.vertices for path in outline.get_paths()])
    np.testing.assert_allclose(points.min(axis=0), [29.5, 19.5])
    np.testing.assert_allclose(points.max(axis=0), [89.5, 59.5])


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_mask_without_an_edge_has_no_outline(level):
    mask = np.full((SIDE, SIDE), level, np.float32)
    assert not plots.examples([Picture(noise(), mask=mask)]).axes[0].collections


@pytest.mark.parametrize("count", [0, 1, 7])
def test_grid_holds_every_picture_and_none_overlaps(count):
    figure = plots.examples([Picture(noise(i), f"n{i}") for i in range(count)], columns=3)
    shown = [axis for axis in figure.axes if axis.images]
    assert [axis.get_title() for axis in shown] == [f"n{i}" for i in range(count)]
    places = np.array([axis.get_position().extents for axis in figure.axes])
    assert places.min() >= 0 and places.max() <= 1
    overlap = np.asarray(boxes.iou(places, places)) - np.eye(len(places))
    assert overlap.max() < 1e-5


def test_detection_keeps_the_aspect_and_the_pixels_of_the_picture():
    image = noise(shape=(60, 120, 3))
    faces = [plots.Found((10, 5, 50, 45), "P(fake) 0.90", [((20, 10, 30, 20), 0.7)])]
    figure = plots.detection(image, faces)
    width, height = figure.get_size_inches()
    assert width == 2 * height
    axis = figure.axes[0]
    assert rectangles(axis, plots.FACE) == [(10, 5, 50, 45)]
    assert rectangles(axis, plots.PREDICTED) == [(20, 10, 30, 20)]
    assert [text.get_text() for text in axis.texts] == ["P(fake) 0.90", "0.70"]


@dataclasses.dataclass
class Training:
    """As much of a training sample as a montage looks at."""

    image: np.ndarray
    boxes: np.ndarray
    mask: np.ndarray | None
    outcome: str = "partial"
    genuine: np.ndarray | None = None
    manipulated: np.ndarray | None = None
    recipe: dict = dataclasses.field(default_factory=dict)


class Maker:
    """The anchors, and a true area that covers the left half of every sample."""

    anchors = boxes.anchors(SIDE)

    def arrays(self, sample):
        padded = np.zeros((2, 4), np.float32)
        padded[: len(sample.boxes)] = sample.boxes
        coverage = (self.anchors[:, 0] < 0.5).astype(np.float32)
        valid = np.arange(2) < len(sample.boxes)
        return {"boxes": padded, "boxes_valid": valid, "coverage": coverage}


def montage(negatives="outside_mask", count=1):
    whole = np.array([[0, 0, 1, 1], [0.1, 0.2, 0.4, 0.6]], np.float32)
    sample = Training(noise(), whole, np.ones((SIDE, SIDE)), recipe={"blend": "alpha"})
    return plots.montage([sample] * count, Maker(), LossConfig(negatives=negatives)).axes


def drawn_anchors(axis, colour):
    return np.array(rectangles(axis, colour)).reshape(-1, 4) / SIDE


def test_montage_outlines_the_anchors_that_training_takes_as_positive():
    axis = montage()[4]
    corners = np.asarray(boxes.to_corners(Maker.anchors))
    truth = np.array([[[0, 0, 1, 1], [0.1, 0.2, 0.4, 0.6]]], np.float32)
    positive = np.asarray(boxes.match(truth, np.ones((1, 2), bool), Maker.anchors).positive)[0]
    expected = corners[positive]
    np.testing.assert_allclose(drawn_anchors(axis, plots.TRUE), expected, atol=1e-5)
    covered = (Maker.anchors[:, 0] < 0.5) & ~positive
    np.testing.assert_allclose(drawn_anchors(axis, "#ffffff"), corners[covered], atol=1e-5)


def test_montage_ignores_nothing_where_all_anchors_are_negatives():
    axis = montage("all")[4]
    assert len(drawn_anchors(axis, "#ffffff")) == 0


def test_montage_draws_the_true_boxes_and_says_what_was_done():
    axes = montage()
    assert rectangles(axes[3], plots.TRUE)[0] == (0.0, 0.0, 112.0, 112.0)
    assert axes[2].texts[0].get_text() == "partial, alpha"
    assert axes[0].get_title() == "genuine"


@pytest.mark.parametrize(("count", "columns"), [(4, 5), (9, 10)])
def test_montage_has_five_pictures_for_each_sample(count, columns):
    axes = montage(count=count)
    assert sum(bool(axis.images) for axis in axes) == 5 * count
    assert len(axes) % columns == 0


def test_png_is_the_same_for_the_same_figure():
    pictures = [plots.png(plots.examples([Picture(noise())])) for _ in range(2)]
    assert pictures[0] == pictures[1] and pictures[0].startswith(b"\x89PNG")


def test_importing_plots_loads_no_matplotlib_and_drawing_needs_no_display():
    code = (
        "import sys, numpy as np; from iid_jax import plots\n"
        "assert 'matplotlib' not in sys.modules\n"
        "plots.png(plots.score_histogram({'a': np.zeros(3)}))\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_picture_without_boxes_has_none():
    axis = plots.examples([Picture(noise(), truth=np.full(4, np.nan))]).axes[0]
    assert not axis.patches


def sheet(**options):
    """Four pairs of one name and one of another, below a note."""
    pair = plots.Pair(Picture(noise(), "genuine: 0.10"), Picture(noise(1), "fake: 0.90"))
    return plots.pair_sheet({"swap": [pair] * 4, "warp": [pair]}, ["a note"], **options)


def test_pair_sheet_begins_a_row_for_each_name_and_keeps_pairs_together():
    figure = sheet()
    corners = np.round([axis.get_position().p0 for axis in figure.axes], 6)
    rows = [sorted(corners[corners[:, 1] == y, 0]) for y in sorted(set(corners[:, 1]))[::-1]]
    assert [len(row) for row in rows] == [6, 2, 2]
    beside, between = rows[0][1] - rows[0][0], rows[0][2] - rows[0][1]
    assert beside < between
    places = np.array([axis.get_position().extents for axis in figure.axes])
    assert places.min() >= 0 and places.max() <= 1
    assert (np.asarray(boxes.iou(places, places)) - np.eye(len(places))).max() < 1e-5
    titles = [axis.get_title() for axis in figure.axes]
    assert titles == ["genuine: 0.10", "fake: 0.90"] * 5


def test_pair_sheet_names_its_rows_once_and_has_its_note_above_all_pictures():
    figure = sheet()
    texts = {text.get_text(): text.get_position() for text in figure.texts}
    assert set(texts) >= {"swap", "warp", "a note"}
    assert sum(text.get_text() == "swap" for text in figure.texts) == 1
    assert texts["a note"][1] > max(axis.get_position().y1 for axis in figure.axes)
    assert texts["swap"][1] > texts["warp"][1]


def test_pair_sheet_fits_a_page_1200_pixels_wide():
    width, _ = sheet().get_size_inches() * 110
    assert 1150 <= width <= 1250


@pytest.mark.parametrize(("predicted", "count"), [(True, 4), (False, 2)])
def test_pair_sheet_explains_predicted_boxes_where_there_may_be_some(predicted, count):
    assert len(sheet(predicted=predicted).legends[0].get_texts()) == count


def test_pair_sheet_shows_every_box_and_the_score_of_the_best():
    found = np.array([[0.1, 0.1, 0.5, 0.5], [0.2, 0.2, 0.9, 0.9], [0.0, 0.0, 0.3, 0.3]])
    picture = Picture(noise(), boxes=found, scores=np.array([0.8, 0.4, 0.2]))
    figure = plots.pair_sheet({"swap": [plots.Pair(Picture(noise()), picture)]})
    axis = figure.axes[1]
    drawn = sorted(rectangles(axis, plots.PREDICTED))
    np.testing.assert_allclose(drawn, sorted((found * SIDE).tolist()), atol=1e-9)
    assert [text.get_text() for text in axis.texts] == ["0.80"]
    thick = max(axis.patches, key=lambda patch: patch.get_linewidth())
    assert thick.get_x() + 0.5 == pytest.approx(0.1 * SIDE)
    assert not figure.axes[0].patches
