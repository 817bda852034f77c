"""What is measured of which split: nothing where it was fitted, the leak where people are new."""

import dataclasses

import numpy as np
import pytest

from iid_jax.config import Config, DataConfig, EvalConfig
from iid_jax.evaluation import calibration, graphs, operating, report, stored
from iid_jax.evaluation.report import Target
from iid_jax.evaluation.table import read_csv

CONFIG = Config(data=DataConfig(name="noise"), eval=EvalConfig(batch_size=16, bootstrap=5))
KEPT_OUT = dataclasses.replace(CONFIG, data=DataConfig(name="noise", without=("blur",)))
AT_THRESHOLD = ("box_recall", "box_precision", "false_boxes_per_genuine")


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch):
    """Pages without their pictures, which take most of the time."""
    monkeypatch.setattr(graphs.plots, "png", lambda figure: b"")
    monkeypatch.setattr(report.examples, "held_out", lambda *_: [])
    monkeypatch.setattr(report.examples, "partial_swaps", lambda *_: [])


@pytest.fixture
def evaluate(catalog, detector, tmp_path):
    """Evaluates splits of the data set trained on: `evaluate("test", "val", config=...)`."""

    def run(*splits, config=CONFIG, home=None):
        targets = [Target(catalog, split) for split in splits]
        return report.evaluate_run(detector, config, targets, tmp_path, "c", quiet=True, home=home)

    return run


@pytest.fixture
def hesitant(detector, monkeypatch):
    """Makes the detector unsure of smeared faces, so that there is a best temperature."""
    weights = {"gain": np.float32(3.0), "level": np.float32(0.1175)}
    monkeypatch.setattr(detector, "variables", {"params": weights})


def of(made, metric, split, method="all"):
    wanted = metric, split, method
    return [r for r in made["results"] if (r["metric"], r["split"], r["method"]) == wanted]


@pytest.mark.usefixtures("hesitant")
def test_what_was_fitted_on_a_split_is_not_judged_on_it(evaluate):
    made = evaluate("test", "val")
    for metric in ("frame_ece_calibrated", *AT_THRESHOLD):
        (fitted,), (judged,) = of(made, metric, "val"), of(made, metric, "test")
        assert (fitted["value"], fitted["lo"], fitted["hi"]) == (None, None, None)
        assert "very" in fitted["reason"] and judged["value"] is not None
    assert of(made, "box_recall", "val", "partial_swap")[0]["value"] is None
    for metric in ("temperature", "box_threshold", "frame_ece", "pair_win"):
        assert of(made, metric, "val")[0]["value"] is not None


@pytest.mark.usefixtures("hesitant")
def test_validation_of_another_data_set_is_judged(make_catalog, evaluate):
    made = evaluate("val", home=make_catalog(name="home/default"))
    for metric in ("frame_ece_calibrated", *AT_THRESHOLD):
        assert of(made, metric, "val")[0]["value"] is not None


@pytest.mark.usefixtures("hesitant")
def test_validation_scores_alone_are_not_judged_by_what_they_fit(evaluate, tmp_path):
    evaluate("test")
    paths = [tmp_path / "scores" / f"noise.default.{split}.csv" for split in ("val", "test")]
    alone = stored.evaluate_scores(paths[:1], tmp_path / "a", "c", bootstrap=5)
    assert of(alone, "frame_ece_calibrated", "val")[0]["value"] is None
    assert of(alone, "temperature", "val")[0]["value"] is not None
    both = stored.evaluate_scores(paths, tmp_path / "b", "c", bootstrap=5)
    assert of(both, "frame_ece_calibrated", "test")[0]["value"] is not None


@pytest.mark.usefixtures("hesitant")
@pytest.mark.parametrize("splits", [("test",), ("test", "val"), ("val", "test")])
def test_manipulation_kept_out_of_training_does_not_fit_the_temperature(
    splits, evaluate, catalog, detector, tmp_path, monkeypatch
):
    made = evaluate(*splits, config=KEPT_OUT)
    monkeypatch.setattr(operating, "open_catalog", lambda *_: catalog)
    exported = operating.fit(dataclasses.replace(_Loaded(), **vars(detector)), tmp_path)
    (ours,) = of(made, "temperature", "test")
    assert ours["value"] == exported["temperature"].value is not None
    val = read_csv(tmp_path / "scores" / "noise.default.val.csv")
    every = calibration.fit_temperature(val["label"], val["logit"]).value
    # The file is whole where the split was asked for, and what is fitted on otherwise.
    assert ("blur" in val["method"]) == (every != ours["value"]) == ("val" in splits)


@dataclasses.dataclass(frozen=True)
class _Loaded:
    """What `operating.fit` needs of a detector."""

    module: object = None
    variables: object = None
    input_spec: object = None
    anchors: object = None
    config: Config = KEPT_OUT


def test_the_leak_is_measured_where_people_are_new(evaluate):
    made = evaluate("train", "val", "test")
    (train,) = of(made, "leak_auc", "train")
    assert train["value"] is None and "train split are not new" in train["reason"]
    for split in ("val", "test"):
        assert of(made, "leak_auc", split)[0]["value"] is not None


@pytest.mark.parametrize("splits", [("test", "val"), ("test", "probe"), ("probe", "test")])
def test_records_of_the_probe_without_a_score_are_counted_once(splits, evaluate, catalog):
    catalog.broken = {int(catalog.select("probe")[0])}
    made = evaluate(*splits)
    assert [row["value"] for row in of(made, "unscored", "probe")] == [1]
    assert report.unscored(made) == 1


def test_a_record_counts_once_however_often_it_was_corrupted(evaluate, tmp_path):
    evaluate("test")
    clean = tmp_path / "scores" / "noise.default.test.csv"
    corrupted = tmp_path / "noise.default.test@blur-1.csv"
    text = clean.read_text(encoding="utf-8").replace(",test,", ",test@blur-1,")
    corrupted.write_text(text, encoding="utf-8")
    made = stored.evaluate_scores([clean, corrupted], tmp_path / "out", "c", bootstrap=5)
    assert made["data"]["noise/default"]["frames"] == len(read_csv(clean))
