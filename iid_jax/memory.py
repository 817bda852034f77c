"""Freed memory stays at hand for the next picture and the next training step."""

import ctypes
import sys

# Names of glibc's malloc.h, and what they are set to: bytes, and a number of mappings.
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
_SETTINGS = {_TRIM_THRESHOLD: 1 << 30, _MMAP_MAX: 0}


def keep_freed() -> bool:
    """Makes this process keep up to 1 GiB of freed memory at the end of its heap.

    By default glibc maps every larger array anew and gives it back when it is freed, and the
    kernel has to find and zero its pages: for an array of a canvas's size that takes longer than
    the arithmetic on it, and XLA on the CPU asks for all that a step needs at every step. It is for
    whoever starts a process to call, not for what a library does within one. Returns whether it was
    done: only where malloc is glibc's.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and all(mallopt(*setting) for setting in _SETTINGS.items())
