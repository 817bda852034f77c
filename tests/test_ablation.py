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


def test_the_table_has_mean_and_range_and_says_what_is_missing(ablation):
    def summary(auc):
        return {"results": [{"metric": "video_auc", "method": "all", "value": auc}]}

    table = {
        ("d", "mix"): [summary(0.8), summary(0.9)],
        ("d", "SBI"): [summary(0.7), summary(None)],
    }
    lines = ablation._markdown(table).splitlines()
    assert lines[2] == "| d | mix | 2 | 0.850 (0.800 to 0.900) | not measured | not measured |"
    assert "0.700 (0.700 to 0.700, 1 undefined)" in lines[3]
    assert all(line.count("|") == lines[0].count("|") for line in lines)
