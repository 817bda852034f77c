"""What detectors must reach on held-out people, and how they leak; whole runs, half an hour."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from iid_jax import metrics
from iid_jax.checkpoint import load_detector
from iid_jax.data import builder, people, schema
from iid_jax.data.sampler import Draw
from iid_jax.data.samples import SampleMaker
from iid_jax.evaluation.score import DetectorFunction, detect_all
from iid_jax.models import detector

pytestmark = pytest.mark.long
REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    builder.prepare("practice_faces", folder, builder.Settings(), jobs=2, quiet=True)
    return folder


def run(workdir, data_dir, arguments, *overrides):
    """Runs the main job as its user does, on all cores; returns its summary."""
    environment = {k: v for k, v in os.environ.items() if k not in ("XLA_FLAGS", "OMP_NUM_THREADS")}
    config = f"--config={REPOSITORY / 'configs' / 'quickstart.py'}:{arguments}"
    command = [sys.executable, "-m", "iid_jax.main", config, *overrides]
    command += [f"--workdir={workdir}", f"--data_dir={data_dir}", "--quiet"]
    subprocess.run(command, check=True, env=environment, cwd=REPOSITORY)
    return json.loads((workdir / "summary.json").read_text(encoding="utf-8"))


def value(summary, metric, method):
    """The one value of this metric and method."""
    found = [
        r["value"] for r in summary["results"] if (r["metric"], r["method"]) == (metric, method)
    ]
    assert len(found) == 1 and found[0] is not None, (metric, method, found)
    return found[0]


@pytest.fixture(scope="module")
def iid(tmp_path_factory, data_dir):
    return run(tmp_path_factory.mktemp("runs") / "iid", data_dir, "method=iid")


def test_iid_finds_the_fakes_of_new_people(iid):
    assert value(iid, "video_auc", "all") >= 0.95


def test_the_plain_classifier_finds_the_fakes_of_new_people(tmp_path_factory, data_dir):
    summary = run(tmp_path_factory.mktemp("runs") / "binary", data_dir, "method=binary")
    assert value(summary, "video_auc", "all") >= 0.95


def test_iid_says_where_the_artifact_is(iid):
    assert value(iid, "box_recall", "partial_swap") >= 0.5
    assert value(iid, "false_boxes_per_genuine", "all") <= 1.0


def test_a_swap_looks_more_forged_than_its_own_genuine_partner(iid):
    assert value(iid, "pair_win", "partial_swap") >= 0.8


def test_a_plain_classifier_knows_the_donors_that_it_never_saw_genuine(shared_data, tmp_path):
    """The paper's phenomenon: fakes of photographs by ten donors, of whom none is genuine there."""
    pytest.importorskip("dlib", reason="the [faces] extra is not installed")
    settings = builder.Settings(source=str(shared_data / "lfw"))
    builder.prepare("photo_swaps/donor_p80_d10", tmp_path, settings, jobs=2, quiet=True)
    arguments = "method=binary,data=photo_swaps,gap=donor,people=80,donors=10,steps=900"
    swaps = "--config.data.methods=affine_swap,poisson_swap"
    summary = run(tmp_path / "run", tmp_path, arguments, swaps)
    (leak,) = (r for r in summary["results"] if r["metric"] == "leak_auc")
    assert leak["lo"] > 0.5, leak


def test_a_detector_of_null_swaps_stays_at_chance(tmp_path, data_dir):
    """Trained to tell swaps of a face with itself: what it learns is the seam, if there is one."""
    null = ("untouched=0.0", "global_=0.5", "partial=0.5", "null=True")
    overrides = [f"--config.data.swap.{setting}" for setting in null]
    run(tmp_path / "null", data_dir, "steps=400", *overrides)
    trained = load_detector(tmp_path / "null")
    columns = null_swaps(trained, data_dir)
    auc = metrics.evaluate_scores(*columns, ("video_auc",), bootstrap=1000)["video_auc"]
    assert auc.lo <= 0.5 <= auc.hi, auc


def null_swaps(trained, data_dir):
    """Videos, labels and scores of null swaps and of genuine pictures of the test people."""
    config = trained.config
    catalog = builder.ensure(people.data_name(config.data), data_dir, quiet=True)
    assert config.data.swap.null
    maker = SampleMaker(
        catalog, config.data, trained.input_spec, detector.feature_side(config.model)
    )
    fakes = catalog.select("test", label=schema.FAKE)[::4]
    partners = catalog.pristine_of(fakes)
    videos, labels, images = [], [], []
    for fake, partner in zip(fakes.tolist(), partners.tolist(), strict=True):
        for label, draw in ((1, Draw(fake, partner, (1, fake))), (0, Draw(partner, -1, (2, fake)))):
            sample = maker.sample(draw)
            assert sample.outcome == "genuine" if label == 0 else sample.outcome != "untouched"
            videos.append(f"{label}/{catalog.columns['video_id'][fake]}")
            labels.append(label)
            images.append(sample.image)
    function = DetectorFunction(trained.module, trained.input_spec, trained.anchors)
    found = detect_all(function.bind(trained.variables), np.stack(images), 64)
    margin = found.logits[:, 1] - found.logits[:, 0]
    return np.array(videos), np.array(labels), 1.0 / (1.0 + np.exp(-margin))
