"""Figures of many detectors stay legible: panels in rows, and no two series drawn alike."""

import pytest

from iid_jax.leakage import figures


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (2, 2), (3, 3), (4, 3), (12, 3)])
def test_panels_are_laid_in_rows(count, columns):
    values = {"genuine": {"here": (0.1, 0.0, 0.2)}, "fake": {"here": (0.3, None, None)}}
    figure = figures.grouped({f"panel {n}": values for n in range(count)})
    shown = [axis for axis in figure.axes if axis.axison]
    assert [axis.get_title() for axis in shown] == [f"panel {n}" for n in range(count)]
    assert figure.get_figwidth() < 6 * columns
    assert len({axis.get_subplotspec().colspan.start for axis in shown}) == columns


def test_no_two_series_of_a_line_figure_look_alike():
    points = [{"step": 0, "loss": 1.0, "accuracy": 0.1, "test_accuracy": 0.1}]
    many = {f"detector {n}": points for n in range(12)}
    path = [(1.0, (0.5, None, None)), (2.0, (0.6, None, None))]
    drawn = [
        figures.probe_curves(many, 0.01, 4.5),
        figures.lines({"AUC": dict.fromkeys(many, path)}, "subsets", "AUC"),
    ]
    for figure in drawn:
        series = [line for line in figure.axes[0].lines if line.get_label() in many]
        assert len(series) == len(many)
        looks = {(line.get_color(), line.get_linestyle()) for line in series}
        assert len(looks) == len(many)


def test_a_line_goes_through_the_mean_of_several_values_at_one_place():
    points = [(10.0, (0.9, None, None)), (20.0, (0.6, None, None)), (10.0, (0.7, None, None))]
    figure = figures.lines({"AUC": {"leak": points}}, "donors", "AUC")
    (line,) = (line for line in figure.axes[0].lines if line.get_label() == "leak")
    assert line.get_xdata() == pytest.approx([10.0, 20.0])
    assert line.get_ydata() == pytest.approx([0.8, 0.6])
