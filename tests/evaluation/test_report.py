"""What a run leaves behind: scores, summary.json to its schema, and one self-contained page."""

import base64
import dataclasses
import html.parser
import json
import re

import cv2
import numpy as np
import pytest

from iid_jax.config import Config, DataConfig, EvalConfig
from iid_jax.errors import DataError
from iid_jax.evaluation import graphs, page, report, stored, summary
from iid_jax.evaluation.report import Target
from iid_jax.evaluation.table import read_csv

CONFIG = Config(data=DataConfig(name="noise"), eval=EvalConfig(batch_size=16, bootstrap=30))
COMMAND = "python -m iid_jax.main --config=/somewhere/else/x.py --workdir=/somewhere/else/run"
SUMMARY_KEYS = [
    "schema",
    "command",
    "commit",
    "seed",
    "config_sha256",
    "versions",
    "hardware",
    "data",
    "train",
    "results",
]
TRAIN = {"steps": 5, "images": 80, "seconds": 2.0, "compile_seconds": 1.0}


def run(catalog, detector, out, targets=None, config=CONFIG, **options):
    targets = targets or [Target(catalog)]
    return report.evaluate_run(detector, config, targets, out, COMMAND, quiet=True, **options)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, make_catalog, detector):
    """One evaluation that many tests look at: (summary, its folder)."""
    out = tmp_path_factory.mktemp("run")
    lines = [{"step": step, "loss": 1 / step, "val_video_auc": 0.5} for step in (1, 2, 3)]
    text = "".join(json.dumps(line) + "\n" for line in lines) + '{"step": 4, "lo'
    (out / "metrics.jsonl").write_text(text, encoding="utf-8")
    return run(make_catalog(), detector, out, train_stats=TRAIN), out


@pytest.fixture
def no_pictures(monkeypatch):
    """Pages without their pictures, which take most of the time, for tests of something else."""
    monkeypatch.setattr(graphs.plots, "png", lambda figure: b"")
    monkeypatch.setattr(report.examples, "held_out", lambda *_: [])
    monkeypatch.setattr(report.examples, "partial_swaps", lambda *_: [])


def found(made, method, metric, split="test"):
    key = (method, metric, split)
    (row,) = [r for r in made["results"] if (r["method"], r["metric"], r["split"]) == key]
    return row


class Page(html.parser.HTMLParser):
    """The text, the pictures and the addresses of a page."""

    def __init__(self, text):
        super().__init__()
        self.words, self.pictures, self.addresses, self.open = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.addresses += [attrs[k] for k in ("href", "src") if k in attrs]
        if tag == "img":
            self.pictures.append(attrs["src"])
        if tag not in ("img", "meta", "br", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def test_summary_has_exactly_the_documented_keys(finished):
    made, out = finished
    assert list(made) == SUMMARY_KEYS and made["schema"] == 1
    assert made["train"] == TRAIN
    assert set(made["data"]) == {"noise/default"}
    assert list(made["data"]["noise/default"]) == ["fingerprint", "videos", "frames", "landmarker"]
    assert json.loads((out / "summary.json").read_text(encoding="utf-8")) == made


def test_all_metrics_are_there_for_all_and_for_each_method(finished):
    made, _ = finished
    for method in ("all", "blur", "smear"):
        for metric in ("video_auc", "frame_auc", "video_ap", "video_eer", "frame_acc", "pair_win"):
            assert found(made, method, metric)["value"] is not None
    # The stand-in sees blur, so that these two are perfect by construction.
    assert found(made, "all", "video_auc")["value"] == 1.0
    assert found(made, "all", "pair_win")["value"] == 1.0
    assert found(made, "partial_swap", "box_recall")["n_videos"] > 0


def test_leak_is_measured_on_the_probe_split_whose_scores_are_kept(finished, make_catalog):
    made, out = finished
    probe = read_csv(out / "scores" / "noise.default.probe.csv")
    assert len(probe) == len(make_catalog().select("probe"))
    donors = probe["score"][np.isin(probe["identity"], ["p0", "p1", "p2"])]
    test = read_csv(out / "scores" / "noise.default.test.csv")
    new = test["score"][test["label"] == 0]
    above = (donors[:, None] > new).mean() + (donors[:, None] == new).mean() / 2
    assert found(made, "all", "leak_auc")["value"] == pytest.approx(above)


@pytest.mark.usefixtures("no_pictures")
def test_another_data_set_than_the_one_trained_on_has_no_leak(make_catalog, detector, tmp_path):
    made = run(make_catalog(name="other/default"), detector, tmp_path)
    assert not [r for r in made["results"] if r["metric"] == "leak_auc"]
    assert not (tmp_path / "scores" / "other.default.probe.csv").exists()


@pytest.mark.usefixtures("no_pictures")
def test_threshold_comes_from_the_home_data_set(make_catalog, detector, tmp_path, finished):
    other = make_catalog(lambda r: r.split != "val", name="other/default")
    made = run(other, detector, tmp_path, home=make_catalog())
    expected = found(finished[0], "all", "box_threshold")["value"]
    assert found(made, "all", "box_threshold")["value"] == expected


def test_every_record_of_the_split_is_in_the_scores(finished, make_catalog):
    _, out = finished
    catalog = make_catalog()
    table = read_csv(out / "scores" / "noise.default.test.csv")
    rows = catalog.select("test")
    assert table["record"].tolist() == sorted(catalog.record_id(row) for row in rows)


@pytest.mark.usefixtures("no_pictures")
def test_scores_alone_give_the_same_results(finished, tmp_path):
    made, out = finished
    paths = [out / "scores" / f"noise.default.{split}.csv" for split in ("test", "probe", "val")]
    again = stored.evaluate_scores(paths, tmp_path, "c", seed=CONFIG.seed, bootstrap=30)
    names = {r["metric"] for r in again["results"]}
    assert {"leak_auc", "familiarity_auc", "frame_ece", "video_auc"} <= names
    expected = [r for r in made["results"] if r["metric"] in names and r["split"] == "test"]
    assert [r for r in again["results"] if r["metric"] in names] == expected
    assert found(again, "all", "leak_auc")["value"] is not None
    assert (tmp_path / "report.html").exists()


@pytest.mark.usefixtures("no_pictures")
def test_scores_of_a_probe_that_name_no_roles_have_no_leak(finished, tmp_path):
    scores = finished[1] / "scores"
    lines = (scores / "noise.default.probe.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0].endswith(",role") and lines[1].rpartition(",")[2]
    without = "\n".join(line.rpartition(",")[0] for line in lines)
    (tmp_path / "probe.csv").write_text(without, encoding="utf-8")
    paths = [scores / "noise.default.test.csv", tmp_path / "probe.csv"]
    again = stored.evaluate_scores(paths, tmp_path / "out", "c", bootstrap=5)
    leak = found(again, "all", "leak_auc")
    assert leak["value"] is None and "no column `role`" in leak["reason"]


def test_same_scores_given_twice_are_refused(finished, tmp_path):
    path = finished[1] / "scores" / "noise.default.test.csv"
    with pytest.raises(DataError, match="given twice"):
        stored.evaluate_scores([path, path], tmp_path, "c")


def test_page_is_whole_and_needs_nothing_from_outside(finished):
    text = (finished[1] / "report.html").read_text(encoding="utf-8")
    seen = Page(text)
    assert seen.open == []
    assert all(address.startswith("data:image/png;base64,") for address in seen.addresses)
    assert "http://" not in text and "https://" not in text and "@import" not in text


def test_page_shows_curves_roc_histograms_swaps_and_examples_as_pictures(finished):
    seen = Page((finished[1] / "report.html").read_text(encoding="utf-8"))
    assert len(seen.pictures) == 7
    for source in seen.pictures:
        data = base64.b64decode(source.partition(",")[2])
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        assert picture.shape[0] > 100 and picture.std() > 10


def test_page_says_the_verdict_and_the_numbers_of_the_summary(finished):
    made, out = finished
    text = Page((out / "report.html").read_text(encoding="utf-8")).text
    assert "noise/default, test split: video AUC 1.000 (95 % interval 1.000 to 1.000)" in text
    for metric in ("leak_auc", "familiarity_auc", "false_boxes_per_genuine"):
        assert f"{found(made, 'all', metric)['value']:.3f}" in text
    boxes = [found(made, "partial_swap", f"box_{m}")["value"] for m in ("recall", "precision")]
    recall, precision = (f"{100 * value:.0f} % of the" for value in boxes)
    assert f"{recall} true boxes are found, {precision} boxes there are right, at" in text
    assert "Trained for 5 steps, 80 pictures, in 2 s and 1 s of compilation" in text


def test_page_names_commands_but_no_folder_of_this_machine(finished):
    made, out = finished
    text = re.sub(r'base64,[^"]*', "", (out / "report.html").read_text(encoding="utf-8"))
    assert not re.search(r"/(tmp|home|root|work|somewhere)\b", text)
    words = Page(text).text
    assert "python -m iid_jax.main --config=x.py --workdir=WORKDIR" in words
    assert "evaluate --checkpoint=WORKDIR --data=noise/default:test" in words
    splits = "test", "probe", "val"
    files = ",".join(f"WORKDIR/scores/noise.default.{split}.csv" for split in splits)
    assert f"--from_scores={files} --seed=0 --bootstrap=30 --out=OUT" in words
    assert made["command"] == COMMAND


@pytest.mark.usefixtures("no_pictures")
def test_names_from_the_data_are_escaped(make_catalog, detector, tmp_path, records):
    evil = "<script>alert(1)</script>"
    renamed = [dataclasses.replace(r, method=evil) if r.method == "blur" else r for r in records]
    catalog = make_catalog()
    catalog.__init__(renamed)
    run(catalog, detector, tmp_path)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<script" not in text and "&lt;script&gt;" in text


@pytest.mark.usefixtures("no_pictures")
def test_unreadable_records_are_counted_everywhere(make_catalog, detector, tmp_path):
    probe = int(make_catalog().select("probe")[0])
    made = run(make_catalog(broken=[70, 71, probe]), detector, tmp_path)
    assert found(made, "all", "unscored")["value"] == 2
    assert report.unscored(made) == 3
    text = Page((tmp_path / "report.html").read_text(encoding="utf-8")).text
    assert "2 of 72 records have no score: unreadable 2." in text


@pytest.mark.usefixtures("no_pictures")
def test_data_without_a_single_readable_record_is_undefined_not_a_number(
    make_catalog, detector, tmp_path
):
    made = run(make_catalog(broken=range(200)), detector, tmp_path)
    for metric in ("video_auc", "leak_auc", "box_recall", "pair_win", "false_boxes_per_genuine"):
        row = found(made, "all", metric)
        assert row["value"] is None and row["reason"]
    assert "undefined" in Page((tmp_path / "report.html").read_text(encoding="utf-8")).text


@pytest.mark.usefixtures("no_pictures")
def test_genuine_only_data_is_undefined(make_catalog, detector, tmp_path):
    made = run(make_catalog(lambda r: r.label == 0, name="other/default"), detector, tmp_path)
    row = found(made, "all", "video_auc")
    assert row["value"] is None and "one class only" in row["reason"]
    assert found(made, "partial_swap", "box_recall")["reason"]


def test_plain_classifier_is_reported_without_boxes(make_catalog, without_artifacts, tmp_path):
    made = run(make_catalog(), without_artifacts, tmp_path)
    assert found(made, "all", "video_auc")["value"] == 1.0
    assert not [r for r in made["results"] if "box" in r["metric"] or r["metric"] == "pair_win"]
    text = Page((tmp_path / "report.html").read_text(encoding="utf-8")).text
    assert "Where the artifact is" not in text and "Held-out examples" in text


@pytest.mark.usefixtures("no_pictures")
def test_several_targets_make_one_summary(make_catalog, detector, tmp_path):
    catalog = make_catalog()
    made = run(catalog, detector, tmp_path, [Target(catalog, "test"), Target(catalog, "val")])
    assert {r["split"] for r in made["results"]} == {"test", "val", "probe"}
    assert (tmp_path / "scores" / "noise.default.val.csv").exists()


def test_unknown_split_is_named_with_the_nearest_before_anything_is_written(
    make_catalog, detector, tmp_path
):
    out = tmp_path / "out"
    with pytest.raises(DataError, match=r"no split 'tset' \(did you mean 'test'\?\)"):
        run(make_catalog(), detector, out, [Target(make_catalog(), "tset")])
    assert not out.exists()


def test_summary_of_another_configuration_is_not_overwritten(finished, make_catalog, detector):
    _, out = finished
    before = (out / "summary.json").read_bytes()
    other = dataclasses.replace(CONFIG, seed=1)
    with pytest.raises(DataError, match="another configuration"):
        run(make_catalog(), detector, out, config=other)
    assert (out / "summary.json").read_bytes() == before


def test_out_that_is_no_folder_is_a_clear_error(make_catalog, detector, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot write .*choose another --out"):
        run(make_catalog(), detector, tmp_path / "file" / "out")


def test_headlines_say_what_the_page_says(finished):
    made, _ = finished
    lines = report.headlines(made)
    assert lines[0].startswith("noise/default, test split: video AUC 1.000")
    assert len(lines) == 4 and lines[1].startswith("Face blur alone has a video AUC of ")


def test_damaged_line_of_the_log_is_refused_but_a_cut_last_one_is_not(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n{"st', encoding="utf-8")
    assert page.read_log(path) == [{"step": 1}]
    path.write_text('{"st\n{"step": 1}\n', encoding="utf-8")
    with pytest.raises(DataError, match="line 1"):
        page.read_log(path)


def test_config_sha256_is_of_the_values():
    assert summary.config_sha256(Config()) == summary.config_sha256(Config())
    assert summary.config_sha256(Config()) != summary.config_sha256(Config(seed=1))


def test_damaged_summary_is_refused(tmp_path):
    (tmp_path / "summary.json").write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match="cannot be read"):
        summary.read(tmp_path)
