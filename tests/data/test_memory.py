"""Freed memory that is kept: fewer pages come from the kernel."""

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
import numpy as np
from iid_jax.data import memory
print(memory.keep_freed() if sys.argv[1] == "keep" else None)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(50):
    [np.ones((224, 224, 3), np.float32) for _ in range(6)]
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how):
    done = subprocess.run(
        [sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True
    )
    said, count = done.stdout.split()
    return said, int(count)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="malloc is not glibc's")
def test_arrays_of_a_canvas_take_the_pages_of_those_before():
    (_, by_default), (said, kept) = faults("default"), faults("keep")
    assert said == "True" and kept * 10 < by_default
