"""A table of two arms that the tests of `reproduce` run without training."""

import json
from pathlib import Path

import pytest

from iid_jax import config_file, main
from iid_jax.evaluation import protocols
from iid_jax.evaluation import summary as summaries
from iid_jax.evaluation.declared import Cell, Row, Table, Training
from iid_jax.flags import split_overrides

HOME = "practice_faces/default"


@pytest.fixture
def small(monkeypatch):
    """A table of two arms on practice_faces."""

    def row(arm, seed):
        config = f"configs/quickstart.py:method={arm},seed={seed}"
        training = Training(f"small/{arm}-{seed}", config, HOME, seed=seed)
        cells = (
            Cell("seen", HOME, method="seen"),
            Cell("unseen", HOME, method="hard"),
            Cell("other", "photo_swaps/default"),
        )
        published = {"seen": 0.9} if arm == "iid" else {}
        return Row(arm, training, cells, published, "a book", "" if arm == "binary" else "binary")

    rows = tuple(row(arm, seed) for arm in ("binary", "iid") for seed in range(2))
    table = Table("small", "A small table", rows)
    monkeypatch.setitem(protocols._TABLES, "small", lambda form, data: table)
    return table


@pytest.fixture
def run():
    return _run


@pytest.fixture
def write_summary():
    return _write_summary


@pytest.fixture
def runner():
    return _runner


@pytest.fixture
def write_results():
    return _write_results


def _run(*argv):
    return main.main(["reproduce", *(str(word) for word in argv)])


def _write_summary(folder, rows, steps=10, config=None):
    """Writes a summary whose results are (method, metric, value, data, split) rows."""
    keys = ("method", "metric", "value", "data", "split")
    results = [
        {**dict(zip(keys, row, strict=True)), "lo": None, "hi": None, "n_videos": 4, "reason": ""}
        for row in rows
    ]
    folder.mkdir(parents=True, exist_ok=True)
    made = {"results": results, "train": {"steps": steps}}
    made["config_sha256"] = config and summaries.config_sha256(config)
    (folder / "summary.json").write_text(json.dumps(made), encoding="utf-8")


def _runner(calls, code=0, stop_at=None):
    """Stands in for child.run: notes the command and writes its summary."""

    def call(*command):
        calls.append(list(command))
        if stop_at is not None and len(calls) == stop_at:
            return 143
        words = dict(w.split("=", 1) for w in command if w.startswith("--") and "=" in w)
        folder = words.get("--out") or words["--workdir"]
        if code == 0:
            rows = [(m, "video_auc", v, HOME, "test") for m, v in (("easy", 0.9), ("hard", 0.6))]
            overrides, _ = split_overrides(list(command))
            config = config_file.load(words["--config"], overrides) if "--config" in words else None
            _write_summary(Path(folder), rows, config=config)
        return code

    return call


def _write_results(folder, rows, measurement="probe"):
    """Writes a results.json whose numbers are (detector, data, value) rows."""
    keys = ("detector", "data", "value")
    fixed = {"method": "all", "metric": "top1", "lo": None, "hi": None, "n": 4, "reason": ""}
    stored = [{**dict(zip(keys, row, strict=True)), **fixed} for row in rows]
    folder.mkdir(parents=True, exist_ok=True)
    made = {"schema": 1, "measurements": {measurement: {"results": stored}}}
    (folder / "results.json").write_text(json.dumps(made), encoding="utf-8")
