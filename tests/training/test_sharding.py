"""Where arrays lie; the same numbers whatever the devices."""

import json
import os
import socket
import subprocess
import sys

import jax
import numpy as np
import pytest

from iid_jax.errors import UsageError
from iid_jax.training import sharding


@pytest.fixture(scope="module")
def on_devices(start):
    """What devices_program.py prints, run with 8 CPU devices."""
    process = start("devices_program.py", devices=8)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return json.loads(out)


@pytest.mark.parametrize("layout", ["8", "4x2"])
def test_losses_are_the_same_on_one_and_on_eight_devices(on_devices, layout):
    assert len(set(on_devices["1"]["losses"])) == 3
    np.testing.assert_allclose(on_devices[layout]["losses"], on_devices["1"]["losses"], rtol=1e-5)


def test_fsdp_splits_large_arrays_and_nothing_else_does(on_devices):
    assert on_devices["1"]["split"] == on_devices["8"]["split"] == 0
    assert on_devices["4x2"]["split"] > 0


def test_the_largest_axis_that_divides_is_split():
    mesh = jax.sharding.AbstractMesh((2, 4), (sharding.DATA, sharding.FSDP))
    leaves = {
        "wide": np.zeros((3, 3, 128, 256)),
        "odd": np.zeros((3, 3, 128, 257)),
        "none": np.zeros((129, 257)),
        "small": np.zeros((8,)),
    }
    found = {name: tuple(s.spec) for name, s in sharding.state_sharding(leaves, mesh).items()}
    assert found == {
        "wide": (None, None, None, sharding.FSDP),
        "odd": (None, None, sharding.FSDP, None),
        "none": (None, None),
        "small": (None,),
    }


@pytest.mark.parametrize(
    ("batch", "cores", "expected"), [(64, 2, 2), (64, 3, 2), (64, 64, 8), (16, 8, 2), (2, 8, 1)]
)
def test_cpu_devices_divide_the_batch_and_get_eight_images_at_least(batch, cores, expected):
    assert sharding.cpu_devices(batch, cores) == expected


def test_devices_that_fsdp_does_not_divide_are_refused():
    with pytest.raises(UsageError, match=r"config.train.fsdp=2 does not divide the 1 devices"):
        sharding.make_mesh(8, 2, jax.devices()[:1])


def test_a_run_of_several_processes_says_what_is_missing(monkeypatch):
    monkeypatch.setenv("IID_COORDINATOR", "localhost:1")
    monkeypatch.setenv("IID_PROCESSES", "2")
    monkeypatch.delenv("IID_PROCESS", raising=False)
    with pytest.raises(UsageError, match="IID_PROCESS "):
        sharding.start(8)


COMPILES = """
import sys, jax
from iid_jax.training import sharding
sharding.start(8, sys.argv[1])
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
print(jax.jit(lambda x: x + 1)(1))
"""


@pytest.mark.parametrize("writable", [True, False])
def test_compiled_programs_are_kept_where_the_configuration_says(writable, tmp_path):
    folder = tmp_path / "cache"
    if not writable:
        folder.write_text("a file, where no folder can be made")
    environment = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
    command = [sys.executable, "-c", COMPILES, str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == "2", done.stderr
    assert not writable or list(folder.glob("*cache*"))


@pytest.mark.long
def test_two_processes_train_as_one_does(start, tiny, practice_dir, tmp_path):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        coordinator = f"localhost:{free.getsockname()[1]}"
    together = {"IID_COORDINATOR": coordinator, "IID_PROCESSES": "2"}
    processes = [
        start("run_tiny.py", tmp_path / "two", practice_dir, **together, IID_PROCESS=str(index))
        for index in range(2)
    ]
    processes.append(start("run_tiny.py", tmp_path / "one", practice_dir))
    for process in processes:
        _, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
    one, two = (
        [json.loads(x) for x in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        for name in ("one", "two")
    )
    for name in ("loss", "grad_norm", "val_frame_auc"):
        expected = [x[name] for x in one if name in x]
        assert expected
        np.testing.assert_allclose([x[name] for x in two if name in x], expected, rtol=1e-4)
