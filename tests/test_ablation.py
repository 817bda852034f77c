"""The ablation's rows are configurations that exist, and its table says what was measured."""

import importlib.util
from pathlib import Path

import pytest

from iid_jax import config_file

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def ablation():
    path = REPOSITORY / "benchmarks" / "ablation.py"
    spec = importlib.util.spec_from_file_location("ablation", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_row_is_a_configuration_of_its_own(ablation):
    loaded = [config_file.load("configs/quickstart.py", row) for row in ablation.ROWS.values()]
    assert len({str(config.to_dict()) for config in loaded}) == len(ablation.ROWS)


def test_columns_are_means_over_manipulations(ablation):
    def result(metric, method, value):
        return {"metric": metric, "method": method, "value": value}

    results = [
        result("video_auc", "all", 0.1),
        result("video_auc", "affine_swap", 0.9),
        result("video_auc", "poisson_swap", 0.8),
        result("video_auc", "expression", 0.6),
        result("leak_auc", "all", 0.7),
    ]
    both = ["affine_swap", "poisson_swap"]
    values = ablation.measure({"results": results}, both)
    assert values == pytest.approx({"seen": 0.85, "unseen": 0.6, "leak": 0.7})
    everything = ablation.measure({"results": results[:-1]}, [*both, "expression"])
    assert (everything["unseen"], everything["leak"]) == (None, None)
    results[1]["value"] = None
    assert ablation.measure({"results": results}, both)["seen"] is None


def test_the_table_has_mean_and_range_and_says_what_is_missing(ablation):
    def run(seen):
        return {"seen": seen, "unseen": None, "leak": None}

    table = {("d", "mix"): [run(0.8), run(0.9)], ("d", "SBI"): [run(0.7), run(None)]}
    lines = ablation._markdown(table).splitlines()
    assert lines[2] == "| d | mix | 2 | 0.850 (0.800 to 0.900) | not measured | not measured |"
    assert "0.700 (0.700 to 0.700, 1 undefined)" in lines[3]
    assert all(line.count("|") == lines[0].count("|") for line in lines)


@pytest.mark.parametrize("code", [0, 3])
def test_a_run_with_records_that_have_no_score_is_a_row_all_the_same(ablation, monkeypatch, code):
    monkeypatch.setattr(ablation.child, "run", lambda *words: code)
    ablation._train("steps=1", {}, Path("w"), Path("d"))


def test_a_run_that_failed_ends_the_table_with_its_code(ablation, monkeypatch):
    monkeypatch.setattr(ablation.child, "run", lambda *words: 4)
    with pytest.raises(SystemExit, match="4"):
        ablation._train("steps=1", {}, Path("w"), Path("d"))
