"""Worker processes: one that dies costs its task alone, and none outlives what started them."""

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


def halve(number: int) -> float:
    """Half of a number; crashes as a decoder does where it is negative."""
    if number < 0:
        os.kill(os.getpid(), signal.SIGSEGV)
    return number / 2


def test_a_task_that_kills_its_process_costs_itself_alone():
    numbers = [1, 2, -3, 4, -5, *range(6, 20)]
    with workers.Workers(2, os.getpid) as processes:
        found = list(processes.map(halve, numbers, lambda number: f"{number} died"))
        assert found == [f"{n} died" if n < 0 else n / 2 for n in numbers]
        assert list(processes.map(halve, [1, 2], str)) == [0.5, 1.0]


def test_processes_that_never_begin_are_no_tasks_fault():
    with workers.Workers(1, os._exit, 1) as processes, pytest.raises(DataError, match="--jobs=1"):
        list(processes.map(halve, [1, 2], str))


def test_an_error_of_a_task_is_raised_and_not_taken_for_a_death():
    with workers.Workers(1, os.getpid) as processes, pytest.raises(TypeError):
        list(processes.map(halve, [2, "x"], str))


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
            with workers.Workers(1, os.getpid) as processes:
                for worker in processes.map(abs, [1], str):
                    print(processes._pool.submit(os.getpid).result(), flush=True)
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
