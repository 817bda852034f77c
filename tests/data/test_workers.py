"""The pool: dead workers are told of, and workers don't outlive what started them."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from iid_jax.data import workers
from iid_jax.errors import DataError


def test_a_worker_that_dies_is_a_data_fault():
    with (
        pytest.raises(DataError, match="fewer than --jobs=1"),
        workers.pool(1, os.getpid) as pool,
    ):
        list(pool.map(os._exit, [1]))


def alive(number: int) -> bool:
    """Whether the process runs; one that ended and was not waited for does not."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_workers_end_with_the_process_that_started_them(tmp_path):
    program = textwrap.dedent("""
        import os, time
        from iid_jax.data import workers
        if __name__ == "__main__":
            with workers.pool(1, os.getpid) as pool:
                print(pool.submit(os.getpid).result(), flush=True)
                time.sleep(60)
    """)
    script = tmp_path / "script.py"
    script.write_text(program)
    start = [sys.executable, str(script)]
    with subprocess.Popen(start, stdout=subprocess.PIPE, text=True) as parent:
        worker = int(parent.stdout.readline())
        assert alive(worker)
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while alive(worker) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not alive(worker)
