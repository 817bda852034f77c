"""The tiny run as a module and as a process: tests are no package, so it is loaded by its path."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

import iid_jax

HERE = Path(__file__).parent
# The programs compute little and compile much.
FLAGS = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"


@pytest.fixture(scope="session")
def tiny():
    """The module `run_tiny.py`, its backbone registered."""
    spec = importlib.util.spec_from_file_location("run_tiny", HERE / "run_tiny.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["run_tiny"] = module
    spec.loader.exec_module(module)
    module.add_backbone()
    return module


@pytest.fixture(scope="session")
def start():
    """Starts a program of this folder: start(name, *arguments, devices=1, **environment)."""

    def run(name: str, *arguments, devices: int = 1, **environment: str) -> subprocess.Popen:
        flags = f"{FLAGS} --xla_force_host_platform_device_count={devices}"
        package = str(Path(iid_jax.__file__).parents[1])
        return subprocess.Popen(
            [sys.executable, HERE / name, *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": package, "XLA_FLAGS": flags, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return run
