"""Files of weights from elsewhere: what they hold, and that none of them runs code."""

import collections
import pickle

import numpy as np
import pytest
from safetensors.numpy import save_file

from iid_jax.errors import DataError, UsageError
from iid_jax.models import weight_files

ARRAYS = {
    "conv1.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2),
    "bn1.num_batches_tracked": np.array(7),
}


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="the [torch] extra is not installed")


def assert_holds_arrays(tensors):
    assert {name: tensor.shape for name, tensor in tensors.items()} == {
        name: array.shape for name, array in ARRAYS.items()
    }
    read = tensors["conv1.weight"].read()
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, ARRAYS["conv1.weight"])


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_safetensors_are_read_as_float32(kind, tmp_path):
    path = tmp_path / "w.safetensors"
    save_file({**ARRAYS, "conv1.weight": ARRAYS["conv1.weight"].astype(kind)}, path)
    assert_holds_arrays(weight_files.open_tensors(path))


@pytest.mark.parametrize("content", [b"", b"\xff" * 100, b"\x08" + b"\0" * 7 + b"{}      "])
def test_a_damaged_or_empty_safetensors_file_is_refused(content, tmp_path):
    path = tmp_path / "w.safetensors"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"w\.safetensors"):
        weight_files.open_tensors(path)


def test_a_cut_off_safetensors_file_is_refused(tmp_path):
    path = tmp_path / "w.safetensors"
    save_file(ARRAYS, path)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(DataError, match="no complete"):
        weight_files.open_tensors(path)


def test_other_kinds_of_files_are_refused_with_what_is_read(tmp_path):
    path = tmp_path / "w.h5"
    path.write_bytes(b"x")
    with pytest.raises(UsageError, match=r"\.safetensors .*\.pth"):
        weight_files.open_tensors(path)
    with pytest.raises(UsageError, match="no such file"):
        weight_files.open_tensors(tmp_path / "none.pth")


def test_without_pytorch_the_remedy_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    path = tmp_path / "w.pth"
    path.write_bytes(b"x")
    with pytest.raises(UsageError, match=r"iid_jax\[torch\].*safetensors"):
        weight_files.open_tensors(path)


@pytest.mark.parametrize("group", ["", *weight_files.GROUPS])
def test_a_state_dict_is_found_alone_and_beside_an_optimisers(group, torch, tmp_path):
    state = collections.OrderedDict((name, torch.tensor(array)) for name, array in ARRAYS.items())
    path = tmp_path / "w.pth"
    torch.save({group: state, "opt_state": {"lr": 0.1}, "epoch": 3} if group else state, path)
    assert_holds_arrays(weight_files.open_tensors(path))


class Evil:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_that_wants_to_run_code_is_refused_and_runs_none(zipped, torch, tmp_path):
    path, trace = tmp_path / "w.pth", tmp_path / "trace"
    content = {"network": {"conv1.weight": torch.ones(1)}, "epoch": Evil(trace)}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(DataError, match=r"wants to run code.*safetensors"):
        weight_files.open_tensors(path)
    assert not trace.exists()


@pytest.mark.parametrize("damage", ["empty", "cut", "pickle", "no tensors"])
def test_a_damaged_torch_file_is_refused(damage, torch, tmp_path):
    path = tmp_path / "w.pth"
    torch.save({"a": torch.ones(100)}, path)
    whole = path.read_bytes()
    contents = {"empty": b"", "cut": whole[: len(whole) // 2], "pickle": pickle.dumps(Evil("x"))}
    if damage == "no tensors":
        torch.save({"epoch": 3}, path)
    else:
        path.write_bytes(contents[damage])
    with pytest.raises(DataError, match=r"w\.pth"):
        weight_files.open_tensors(path)
