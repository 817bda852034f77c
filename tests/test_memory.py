"""Freed memory that is kept: fewer pages come from the kernel."""

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
import numpy as np
from iid_jax import memory
print(memory.keep_freed() if sys.argv[1] == "keep" else None)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(50):
    [np.ones((int(sys.argv[2]), 224, 224, 3), np.float32) for _ in range(6)]
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how, batch):
    command = [sys.executable, "-c", FAULTS, how, str(batch)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    said, count = done.stdout.split()
    return said, int(count)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="malloc is not glibc's")
@pytest.mark.parametrize("batch", [1, 64])
def test_arrays_take_the_pages_of_those_before(batch):
    """One canvas is 0.6 MB; a batch of 64 more than any array that glibc keeps by default."""
    (_, by_default), (said, kept) = faults("default", batch), faults("keep", batch)
    assert said == "True" and kept * 10 < by_default
