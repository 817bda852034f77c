"""Training that starts from weights of elsewhere: what is taken, and what stays fresh."""

import dataclasses
import shutil

import jax
import numpy as np
import pytest
from safetensors.numpy import save_file

from iid_jax.checkpoint import load_detector
from iid_jax.config import ModelConfig
from iid_jax.errors import DataError, UsageError
from iid_jax.models import detector
from iid_jax.models.initial import initialise
from iid_jax.training import loop, pretrained


def fresh(**model):
    module, spec, _ = detector.build_detector(ModelConfig(dtype="float32", **model))
    return spec, initialise(module, spec, seed=7)


def assert_same(found, wanted):
    jax.tree.map(np.testing.assert_array_equal, found, wanted)


@pytest.fixture(scope="module")
def torchvision_file(golden, tmp_path_factory):
    """A file of a ResNet-18 as torchvision names it, and its tensors."""
    spec, rng = golden("model_backbone_resnet18"), np.random.default_rng(0)
    shapes = [tuple(int(side) for side in row if side) for row in spec["tensor_shapes"]]
    names = map(str, spec["tensor_names"])
    tensors = {
        name: rng.random(shape, np.float32) for name, shape in zip(names, shapes, strict=True)
    }
    path = tmp_path_factory.mktemp("files") / "resnet18.safetensors"
    save_file(tensors, path)
    return path, tensors


def test_a_published_backbone_is_taken_and_the_heads_stay_fresh(torchvision_file):
    path, tensors = torchvision_file
    spec, before = fresh(backbone="resnet18", canvas=224, adm_width=16)
    found, said = pretrained.start_from(path, "resnet18", spec, before)
    trunk = found["params"]["trunk"]
    kernel = tensors["layer4.1.conv2.weight"].transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(trunk["stage4_block1"]["conv2"]["kernel"], kernel)
    variance = found["batch_stats"]["trunk"]["stem_bn"]["var"]
    np.testing.assert_array_equal(variance, tensors["bn1.running_var"])
    for head in ("artifact", "classifier"):
        assert_same(found["params"][head], before["params"][head])
    assert "fresh: artifact, classifier" in said
    assert "not used: fc.bias, fc.weight" in said


def test_another_backbones_file_is_refused_with_its_tensors(torchvision_file):
    spec, before = fresh(backbone="resnet34", canvas=224, adm_width=16)
    with pytest.raises(DataError, match=r"is no resnet34 .*stage1_block2.* and \d+ more"):
        pretrained.start_from(torchvision_file[0], "resnet34", spec, before)


def test_a_larger_backbones_file_is_refused_too(golden, tmp_path):
    spec, before = fresh(backbone="resnet18", canvas=224, adm_width=16)
    large = golden("model_backbone_resnet34")
    shapes = [tuple(int(side) for side in row if side) for row in large["tensor_shapes"]]
    names = map(str, large["tensor_names"])
    path = tmp_path / "resnet34.safetensors"
    save_file({n: np.zeros(s, np.float32) for n, s in zip(names, shapes, strict=True)}, path)
    with pytest.raises(DataError, match=r"is no resnet18 .*layer1\.2\.bn1\.bias"):
        pretrained.start_from(path, "resnet18", spec, before)


def test_nothing_there_is_a_usage_error(tmp_path):
    spec, before = fresh(canvas=112)
    with pytest.raises(UsageError, match="no such file"):
        pretrained.start_from(tmp_path / "none.pth", "resnet_small", spec, before)


def test_of_a_detector_the_heads_that_fit_are_taken(run_dir):
    source = load_detector(run_dir)
    model = dataclasses.replace(source.config.model, adm_width=24)
    module, spec, _ = detector.build_detector(model)
    before = initialise(module, spec, seed=7)
    found, said = pretrained.start_from(run_dir, model.backbone, spec, before)
    for part in ("trunk", "classifier"):
        assert_same(found["params"][part], source.variables["params"][part])
    assert_same(found["params"]["artifact"], before["params"]["artifact"])
    assert "fresh: artifact" in said


def test_training_starts_from_it_and_goes_on_without_it(tiny, practice, tmp_path):
    first = tiny.tiny_config(steps=2)
    loop.train(first, _new(tmp_path / "source"), practice, quiet=True)
    source = load_detector(tmp_path / "source")
    model = dataclasses.replace(first.model, init_from=str(tmp_path / "source"))
    still = dataclasses.replace(first.optim, learning_rate=1e-12)
    config = dataclasses.replace(first, model=model, optim=still, seed=5)
    loop.train(config, _new(tmp_path / "run"), practice, quiet=True)
    found = load_detector(tmp_path / "run").variables["params"]
    close = {"rtol": 1e-6, "atol": 1e-8}
    jax.tree.map(
        lambda ours, theirs: np.testing.assert_allclose(ours, theirs, **close),
        found,
        source.variables["params"],
    )
    shutil.rmtree(tmp_path / "source")
    longer = dataclasses.replace(config, train=dataclasses.replace(config.train, steps=3))
    assert loop.train(longer, tmp_path / "run", practice, quiet=True)["steps"] == 3


def _new(folder):
    folder.mkdir()
    return folder
