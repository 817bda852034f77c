"""Checkpoints: kept, sealed, found damaged, and loaded without trusting them."""

import json
import os
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from iid_jax import config_file
from iid_jax.checkpoint import FOLDER, INFO, STATE, load_detector
from iid_jax.errors import DataError
from iid_jax.models import detector
from iid_jax.models.initial import initialise
from iid_jax.seal import SEAL, seal
from iid_jax.training.checkpoints import Checkpoints

STATE_FILE = f"{STATE}/manifest.ocdbt"


def _state(value=1.0):
    return {"params": {"kernel": jnp.full((3, 4), value)}, "step": jnp.int32(value)}


def _save(checkpoints, steps_and_metrics):
    for step, metric in steps_and_metrics:
        checkpoints.save(step, _state(step), {"note": step}, metric)
    checkpoints.wait()


def test_state_and_info_come_back_as_they_were(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        _save(checkpoints, [(3, 0.5)])
    with Checkpoints(tmp_path) as checkpoints:
        state, info = checkpoints.restore(3, _state(0.0))
    jax.tree.map(np.testing.assert_array_equal, state, _state(3))
    assert info == {"note": 3, "step": 3, "metric": 0.5}


def test_newest_and_best_are_kept(tmp_path):
    with Checkpoints(tmp_path, keep=2) as checkpoints:
        _save(checkpoints, [(1, 0.6), (2, 0.9), (3, 0.7), (4, None), (5, 0.8)])
        assert checkpoints.steps() == [2, 4, 5]
    names = {p.name for p in (tmp_path / FOLDER).iterdir() if p.name.isdigit()}
    assert names == {"2", "4", "5"}


def test_of_equally_good_steps_the_later_is_best(tmp_path):
    with Checkpoints(tmp_path, keep=1) as checkpoints:
        _save(checkpoints, [(1, 0.9), (2, 0.9), (3, 0.1)])
        assert checkpoints.steps() == [2, 3]
        assert checkpoints.is_best(0.9) and not checkpoints.is_best(0.89)


def test_the_old_step_stays_until_the_new_one_is_sealed(tmp_path):
    with Checkpoints(tmp_path, keep=1) as checkpoints:
        _save(checkpoints, [(1, None)])
        checkpoints.save(2, _state(2), {}, None)
        checkpoints._manager.wait_until_finished()
        there = [(tmp_path / FOLDER / n / SEAL).exists() for n in ("1", "2")]
        assert there == [True, False]
        checkpoints.wait()
        assert checkpoints.steps() == [2]


def test_saving_goes_on_in_the_background_of_changed_values(tmp_path):
    change = jax.jit(lambda x: x + 1, donate_argnums=0)
    values = jnp.arange(2_000_000.0)
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, {"x": values}, {}, None)
        change(values)
        checkpoints.wait()
        state, _ = checkpoints.restore(1, {"x": jnp.zeros(2_000_000)})
    np.testing.assert_array_equal(state["x"], np.arange(2_000_000.0))


def test_steps_cut_off_while_saving_are_removed_and_named_and_nothing_else(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        _save(checkpoints, [(1, None), (2, None)])
    folder = tmp_path / FOLDER
    (folder / "2" / SEAL).unlink()
    (folder / "3.orbax-checkpoint-tmp").mkdir()
    (folder / "mine").mkdir()
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.removed == ["2", "3.orbax-checkpoint-tmp"]
        assert checkpoints.steps() == [1]
    assert (folder / "mine").exists() and not (folder / "2").exists()


def _flip_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", ["flip", "remove", "add"])
def test_damaged_file_is_named_with_the_remedy(tmp_path, damage):
    with Checkpoints(tmp_path) as checkpoints:
        _save(checkpoints, [(1, None)])
    path = tmp_path / FOLDER / "1" / (STATE_FILE if damage != "add" else f"{STATE}/more")
    {"flip": _flip_bit, "remove": os.unlink, "add": lambda p: p.write_text("x")}[damage](path)
    with Checkpoints(tmp_path) as checkpoints:
        message = rf"{STATE}/\S+ differs from what was saved; delete the folder \S+/1 "
        with pytest.raises(DataError, match=message) as caught:
            checkpoints.restore(1, _state())
    assert str(path.relative_to(tmp_path)) in str(caught.value)


# ------------------------------------------------------------------------ detectors from anywhere
@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A workdir with untrained detectors of seeds 1 (better) and 2, steps 1 and 2."""
    workdir = tmp_path_factory.mktemp("trained")
    config = config_file.from_dict({"model": {"adm_width": 8, "dtype": "float32"}})
    module, spec, _ = detector.build_detector(config.model)
    info = {"config": config.to_dict(), "input_spec": spec.to_dict()}
    with Checkpoints(workdir) as checkpoints:
        for step, metric in ((1, 0.9), (2, 0.8)):
            variables = initialise(module, spec, seed=step)
            checkpoints.save(step, {**variables, "opt_state": {"mu": jnp.ones(2)}}, info, metric)
    return workdir, module, spec


@pytest.fixture
def copied(trained, tmp_path):
    """A copy of the step folder 1, to be spoilt."""
    return shutil.copytree(trained[0] / FOLDER / "1", tmp_path / "1")


def _edit(folder, change):
    path = folder / INFO / "metadata"
    info = json.loads(path.read_text())
    change(info)
    path.write_text(json.dumps(info))
    seal(folder)


@pytest.mark.parametrize(("place", "step"), [("", 1), (FOLDER, 1), (f"{FOLDER}/2", 2)])
def test_detector_of_a_workdir_is_its_best_step_and_of_a_step_folder_that(trained, place, step):
    workdir, module, spec = trained
    loaded = load_detector(workdir / place)
    assert loaded.step == step and loaded.input_spec == spec and loaded.module == module
    assert loaded.anchors.shape == (168, 4)
    expected = initialise(module, spec, seed=step)
    jax.tree.map(np.testing.assert_array_equal, loaded.variables, expected)
    assert all(type(leaf) is np.ndarray for leaf in jax.tree.leaves(loaded.variables))


def test_workdir_without_a_checkpoint_tells_the_command(tmp_path):
    with pytest.raises(DataError, match=r"no checkpoint in .* --workdir="):
        load_detector(tmp_path / "nothing")


def test_step_without_a_seal_is_refused(copied):
    (copied / SEAL).unlink()
    with pytest.raises(DataError, match="not saved completely"):
        load_detector(copied)


def test_flipped_bit_is_found_before_anything_is_read(copied):
    _flip_bit(copied / STATE_FILE)
    with pytest.raises(DataError, match=f"{STATE_FILE} differs"):
        load_detector(copied)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda i: i["config"]["model"].update(backbone="os.system"), "unknown backbone"),
        (lambda i: i["config"].update(seed="__import__('os')"), "config.seed must be"),
        (lambda i: i.update(config=[1]), "config must be a group of keys"),
        (lambda i: i.pop("input_spec"), "input_spec must be a group of keys"),
        (lambda i: i["input_spec"].update(size=224), "input of 224 px, canvas of 112 px"),
        (lambda i: i["input_spec"].update(std=[0, 0, 0]), "input spec"),
        (lambda i: i["config"]["model"].update(adm_width=16), r"needs \(\d+.*float32"),
        (lambda i: i["config"]["model"].update(adm=False), "artifact.* needs none"),
    ],
)
def test_configuration_that_does_not_fit_is_one_clear_line(copied, change, message):
    _edit(copied, change)
    with pytest.raises(DataError, match=message) as caught:
        load_detector(copied)
    assert "\n" not in str(caught.value)


def test_info_that_is_no_json_is_refused(copied):
    (copied / INFO / "metadata").write_text("[" * 100_000)
    seal(copied)
    with pytest.raises(DataError, match="cannot be read"):
        load_detector(copied)


def test_state_that_is_none_is_refused(copied):
    shutil.rmtree(copied / STATE)
    (copied / STATE).mkdir()
    (copied / STATE / "_METADATA").write_text("{}")
    seal(copied)
    with pytest.raises(DataError, match="cannot be read"):
        load_detector(copied)


def test_link_out_of_the_folder_is_refused(copied):
    (copied / "passwords").symlink_to("/etc/passwd")
    with pytest.raises(DataError, match="is a link"):
        load_detector(copied)
