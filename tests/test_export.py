"""An export: every form gives the checkpoint's numbers, and says what it is in plain JSON."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys

import jax
import numpy as np
import pytest
from jax import export as jax_export
from safetensors.numpy import load_file, save_file

import iid_jax
from iid_jax import export, inference_checkpoint
from iid_jax.checkpoint import load_detector
from iid_jax.config import DataConfig
from iid_jax.errors import DataError, UsageError
from iid_jax.evaluation import model_card, operating, summary
from iid_jax.main import main

# Orbax alone, with nothing of this package: no target tree, no configuration.
READS = """
import sys, json, jax, numpy as np, orbax.checkpoint as ocp
tree = ocp.PyTreeCheckpointer().restore(sys.argv[1])
total = sum(float(np.abs(leaf).sum(dtype=np.float64)) for leaf in jax.tree.leaves(tree))
print(json.dumps([jax.device_count(), sorted(tree), total, "iid_jax" in sys.modules]))
"""


def pictures(detector, count):
    size = detector.input_spec.size
    rng = np.random.default_rng(count)
    return rng.integers(0, 256, (count, size, size, 3), np.uint8)


@pytest.fixture(scope="module")
def exported(run_dir, tmp_path_factory):
    """(folder of the export, {form: largest difference})."""
    out = tmp_path_factory.mktemp("exports") / "detector"
    return out, export.export(str(run_dir), str(out), str(out / "none"), "CC0-1.0")


@pytest.fixture(scope="module")
def description(exported):
    return json.loads((exported[0] / inference_checkpoint.NAME).read_text(encoding="utf-8"))


def test_every_form_gives_the_same_outputs(exported):
    differences = exported[1]
    assert set(differences) == {"inference checkpoint", export.SAFETENSORS, export.STABLEHLO}
    assert all(0.0 <= value <= 1e-4 for value in differences.values())


def test_the_api_gives_the_logits_of_the_checkpoint(exported, run_dir):
    ours, theirs = iid_jax.load(exported[0]), iid_jax.load(run_dir)
    images = pictures(ours, 2)
    assert np.ptp(theirs.logits(images)) > 0
    np.testing.assert_allclose(ours.logits(images), theirs.logits(images), atol=1e-4)


def test_stablehlo_takes_any_batch_on_every_platform(exported, run_dir, in_float32):
    lowered = jax_export.deserialize(bytearray((exported[0] / export.STABLEHLO).read_bytes()))
    assert set(lowered.platforms) == {"cpu", "cuda", "tpu"}
    arrays = load_file(exported[0] / export.SAFETENSORS)
    detector = iid_jax.load(run_dir)
    images = pictures(detector, 1)
    found = lowered.call(arrays, images)
    np.testing.assert_allclose(found["logits"], detector.logits(images), atol=1e-4)
    assert found["deltas"].shape == (1, 168, 4) and found["box_logits"].shape == (1, 168, 2)


@pytest.mark.parametrize("devices", [1, 2])
def test_orbax_reads_it_without_a_target_tree(exported, devices):
    folder = next((exported[0] / "checkpoints").iterdir()) / "state"
    flags = f"--xla_force_host_platform_device_count={devices}"
    environment = {**os.environ, "XLA_FLAGS": flags}
    command = [sys.executable, "-c", READS, str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    count, names, total, imported = json.loads(done.stdout)
    leaves = jax.tree.leaves(load_detector(exported[0]).variables)
    assert (count, names, imported) == (devices, ["batch_stats", "params"], False)
    assert total == pytest.approx(sum(np.abs(leaf).sum(dtype=np.float64) for leaf in leaves))


def test_the_json_says_what_it_is(description, run_dir):
    assert description["schema"] == 1 and description["labels"] == ["real", "fake"]
    assert description["model"]["backbone"] == "resnet_small" and description["step"] == 3
    assert description["input_spec"] == iid_jax.load(run_dir).input_spec.to_dict()
    assert description["licence"] == "CC0-1.0"
    for name in ("temperature", "score_threshold", "box_threshold"):
        assert description[name]["value"] is None and description[name]["reason"]


def test_the_run_s_numbers_and_thresholds_travel(exported, description, tmp_path, run_dir):
    loaded = load_detector(run_dir)
    row = {"data": "d/default", "split": "test", "method": "all", "metric": "video_auc"}
    row |= {"value": 0.9, "lo": 0.8, "hi": 0.95, "n_videos": 12, "reason": ""}
    told = inference_checkpoint.describe(
        loaded,
        box_threshold=inference_checkpoint.known(0.25),
        data={"d/default": {"fingerprint": "f" * 64, "videos": 9, "landmarker": "drawn/1"}},
        metrics=[row],
        train={"steps": 3},
        source="python -m iid_jax.main --config=x.py",
    )
    with inference_checkpoint.new_folder(tmp_path / "a") as folder:
        inference_checkpoint.write(folder, loaded, told)
    detector = iid_jax.load(tmp_path / "a")
    assert detector.box_threshold == 0.25
    assert told["landmarker"] == "drawn/1"
    card = model_card.render(told)
    assert "| d/default | test | all | video_auc | 0.900 | 0.800 to 0.950 | 12 |" in card
    assert "0.250" in card and "not proof" in card and "not stated by their owner" in card
    assert "Trained on: practice_faces/default, 3 steps, seed 0. Landmarks: drawn/1." in card
    assert "has never seen a photograph" in card
    again = export._knowledge(tmp_path / "a", loaded, str(tmp_path), quiet=True)
    assert (again["metrics"], again["box_threshold"]["value"]) == ([row], 0.25)


def test_the_card_tells_what_was_left_out_of_the_training_data(run_dir):
    data = DataConfig(name="d", without=("a", "b"), identity_gap="donor", train_donors=10)
    loaded = load_detector(run_dir)
    loaded = dataclasses.replace(loaded, config=dataclasses.replace(loaded.config, data=data))
    told = inference_checkpoint.describe(loaded, train={"steps": 3})
    card = model_card.render(told)
    assert "Trained on: d/donor_d10, without a, b, 3 steps, seed 0." in card
    assert "has never seen a photograph" not in card


def test_the_machine_s_folders_do_not_travel(run_dir, tmp_path):
    run = shutil.copytree(run_dir, tmp_path / "run")
    loaded = load_detector(run)
    command = "python -m iid_jax.main --config=configs/x.py --workdir=/home/me/run"
    made = summary.build(command, 0, loaded.config, {}, [], {"steps": 3})
    summary.write(run, made)
    known = export._knowledge(run, loaded, str(tmp_path), quiet=True)
    assert known["source"] == "python -m iid_jax.main --config=configs/x.py --workdir=WORKDIR"


def test_the_card_tells_what_is_not_known(exported):
    card = (exported[0] / export.CARD).read_text(encoding="utf-8")
    assert "Nothing was measured." in card and "CC0-1.0" in card
    assert "is not prepared where this was exported" in card


def test_temperature_and_threshold_are_fitted_on_the_validation_split(run_dir, practice_dir):
    found = operating.fit(load_detector(run_dir), practice_dir)
    assert 0.0 < found["score_threshold"].value < 1.0
    assert found["temperature"].value is not None or found["temperature"].reason


def test_the_threshold_is_where_both_errors_are_equal():
    chance = np.array([0.1, 0.2, 0.6, 0.5, 0.8, 0.9])
    label = np.array([0, 0, 0, 1, 1, 1])
    cut = operating.equal_error_threshold(label, chance).value
    says = chance >= cut
    assert says[label == 0].mean() == pytest.approx(1 / 3)
    assert says[label == 1].mean() == pytest.approx(2 / 3)
    assert operating.equal_error_threshold(label * 0, chance).value is None


def test_nothing_is_overwritten(told, exported, run_dir):
    code, line = told("export", f"--checkpoint={run_dir}", f"--out={exported[0]}")
    assert code == 2 and "is there already" in line


def test_a_form_that_differs_is_refused_and_nothing_is_left(run_dir, tmp_path, monkeypatch):
    def wrong(path, variables):
        flat = export._flat(variables)
        save_file({**flat, "params/classifier/bias": flat["params/classifier/bias"] + 1}, path)

    monkeypatch.setattr(export, "write_safetensors", wrong)
    with pytest.raises(DataError, match=r"model\.safetensors differs"):
        export.export(str(run_dir), str(tmp_path / "out"), str(tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"schema": 9}, "schema 9"),
        ({"box_threshold": {"value": "import os"}}, "box_threshold must be a number"),
    ],
)
def test_a_damaged_description_is_told(exported, description, tmp_path, change, told):
    with inference_checkpoint.new_folder(tmp_path / "e") as folder:
        path = folder / inference_checkpoint.NAME
        path.write_text(json.dumps({**description, **change}), encoding="utf-8")
    with pytest.raises(DataError, match=told):
        inference_checkpoint.read_value(inference_checkpoint.read(tmp_path / "e"), "box_threshold")


def test_the_seal_is_one_that_coreutils_check(exported):
    command = ["sha256sum", "--check", "--quiet", "--strict", inference_checkpoint.SUMS]
    subprocess.run(command, cwd=exported[0], check=True)
    sealed = (exported[0] / inference_checkpoint.SUMS).read_text().split()[1::2]
    assert sealed == [inference_checkpoint.NAME, export.SAFETENSORS, export.STABLEHLO]


def test_a_changed_description_is_refused_and_a_changed_card_is_not(exported, tmp_path):
    copy = shutil.copytree(exported[0], tmp_path / "copy")
    (copy / export.CARD).write_text("mine")
    iid_jax.load(copy)
    path = copy / inference_checkpoint.NAME
    path.write_text(path.read_text().replace('"step": 3', '"step": 7'), encoding="utf-8")
    with pytest.raises(DataError, match="is not what was exported"):
        iid_jax.load(copy)
    (copy / inference_checkpoint.SUMS).unlink()
    with pytest.raises(DataError, match="cannot be read"):
        iid_jax.load(copy)


def half_write(out):
    with inference_checkpoint.new_folder(out) as folder:
        (folder / "half").touch()
        raise RuntimeError


def test_a_failed_write_leaves_no_folder(tmp_path):
    with pytest.raises(RuntimeError):
        half_write(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_in_it_is_refused(tmp_path):
    (tmp_path / "mine").touch()
    with pytest.raises(UsageError, match="nothing is overwritten"):
        half_write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.long
def test_the_command_exports_and_evaluate_takes_it(run_dir, practice_dir, tmp_path, capsys):
    command = ["export", f"--checkpoint={run_dir}", f"--out={tmp_path / 'e'}", "--quiet"]
    assert main([*command, f"--data_dir={practice_dir}"]) == 0
    assert "differs from the checkpoint" in capsys.readouterr().out
    command = [
        "evaluate",
        f"--checkpoint={tmp_path / 'e'}",
        f"--data_dir={practice_dir}",
        "--quiet",
    ]
    assert main([*command, "--data=practice_faces:test", f"--out={tmp_path / 'out'}"]) == 0
