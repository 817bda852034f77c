"""The registry of backbones."""

import subprocess
import sys

import pytest

from iid_jax import models
from iid_jax.errors import UsageError
from iid_jax.models import registry

NEW_BACKBONE = """
from iid_jax.models.registry import register
from iid_jax.models.resnet import ResNet

register("tiny_for_a_test", ResNet, parameters=1, canvas=64, source="a test", blocks=(1, 1))
"""


def test_an_unknown_backbone_is_refused_with_the_nearest_name():
    with pytest.raises(UsageError, match=r"'resnet43'.*did you mean 'resnet34'"):
        models.create("resnet43")


def test_an_unknown_option_is_refused_with_the_nearest_name():
    with pytest.raises(UsageError, match=r"'dtpye'.*did you mean 'dtype'"):
        models.create("resnet18", dtpye="float32")


def test_an_option_is_a_field_of_the_module():
    assert models.create("resnet18", bn_momentum=0.5).bn_momentum == 0.5


def test_a_new_backbone_is_one_new_file(tmp_path, monkeypatch):
    (tmp_path / "new_backbone.py").write_text(NEW_BACKBONE)
    monkeypatch.setattr(models, "__path__", [*models.__path__, str(tmp_path)])
    monkeypatch.setattr(registry, "_ENTRIES", dict(registry._ENTRIES))
    try:
        assert "tiny_for_a_test" in models.names()
        assert models.create("tiny_for_a_test").stride == 8
    finally:
        sys.modules.pop("iid_jax.models.new_backbone", None)
        vars(models).pop("new_backbone", None)


def test_a_name_is_registered_once():
    taken = models.entry("resnet18")
    with pytest.raises(ValueError, match="resnet18"):
        models.register("resnet18", taken.module, parameters=1, canvas=1, source="")


def test_importing_the_models_loads_no_jax():
    check = "import sys, iid_jax.models; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
