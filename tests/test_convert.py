"""`convert`: published weights become a detector that gives the reference's numbers."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

import iid_jax
from iid_jax import convert
from iid_jax.main import main
from iid_jax.models import InputSpec


@pytest.fixture(scope="module")
def published(golden, weights_rule, tmp_path_factory):
    """(file of the golden ResNet-34 detector's tensors, its expected outputs)."""
    expected = golden("model_caddm_resnet34")
    path = tmp_path_factory.mktemp("published") / "resnet34.safetensors"
    save_file(weights_rule.tensors(expected), path)
    return path, expected


@pytest.fixture(scope="module")
def converted(published, tmp_path_factory):
    out = tmp_path_factory.mktemp("converted") / "detector"
    said = convert.convert(str(published[0]), "resnet34", str(out), "CC-BY-NC-4.0")
    return out, said


def test_the_detector_gives_the_references_logits(converted, published, weights_rule, in_float32):
    detector = iid_jax.load(converted[0])
    assert detector.input_spec == InputSpec.reference()
    rgb = weights_rule.images()[:2, ..., ::-1]
    wanted = published[1]["eval_logits_f64"]
    found = detector.logits(np.ascontiguousarray(rgb))
    np.testing.assert_allclose(found, wanted, atol=1e-4 * np.abs(wanted).max())


def test_what_was_left_is_told_and_where_it_is_from(converted):
    out, said = converted
    assert "not used: base_model.fc.bias, base_model.fc.weight" in said
    description = json.loads((out / "detector.json").read_text(encoding="utf-8"))
    assert description["source"] == "converted from resnet34.safetensors"
    assert description["licence"] == "CC-BY-NC-4.0"
    assert description["temperature"]["value"] is None
    assert "not proof" in (out / "MODEL_CARD.md").read_text(encoding="utf-8").lower()


def refused(capsys, *words):
    code = main(["convert", *map(str, words)])
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    return code, err


def test_another_model_is_refused_with_names_and_nothing_is_written(published, tmp_path, capsys):
    out = tmp_path / "out"
    code, err = refused(capsys, published[0], "--model=resnet18", f"--out={out}")
    assert code == 4 and "no published resnet18" in err
    code, err = refused(capsys, published[0], "--model=resnet43", f"--out={out}")
    assert code == 2 and "did you mean 'resnet34'?" in err
    assert list(tmp_path.iterdir()) == []


def test_a_backbone_alone_is_for_training(tmp_path, capsys):
    path = tmp_path / "resnet34.safetensors"
    save_file({"conv1.weight": np.zeros((64, 3, 7, 7), np.float32)}, path)
    code, err = refused(capsys, path, "--model=resnet34", f"--out={tmp_path / 'out'}")
    assert code == 2 and f"--config.model.init_from={path}" in err


def test_a_folder_that_is_there_is_not_overwritten(published, tmp_path, capsys):
    (tmp_path / "kept").write_text("x")
    code, err = refused(capsys, published[0], "--model=resnet34", f"--out={tmp_path}")
    assert code == 2 and "nothing is overwritten" in err
    assert (tmp_path / "kept").read_text() == "x"


def test_the_published_file_of_pytorch_is_read(published, tmp_path):
    torch = pytest.importorskip("torch", reason="the [torch] extra is not installed")
    from safetensors.torch import load_file

    path = tmp_path / "caddm.pkl"
    torch.save({"network": load_file(published[0]), "opt_state": {}, "epoch": 9}, path)
    loaded, placed = convert.read(str(path), "resnet34")
    same, _ = convert.read(str(published[0]), "resnet34")
    assert not placed.missing
    kernel = loaded.variables["params"]["classifier"]["kernel"]
    np.testing.assert_array_equal(kernel, same.variables["params"]["classifier"]["kernel"])
