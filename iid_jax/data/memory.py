"""Freed memory stays at hand for the next picture."""

import ctypes
import sys

# Names of glibc's malloc.h, and what they are set to, in bytes.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
_SETTINGS = {_TRIM_THRESHOLD: 256 << 20, _TOP_PAD: 16 << 20, _MMAP_THRESHOLD: 8 << 20}


def keep_freed() -> bool:
    """Makes this process keep the memory of arrays of up to 8 MiB when they are freed.

    By default glibc gives it back, and the kernel has to find and zero new pages for the next
    array: for one of a canvas's size that takes longer than the arithmetic on it. Up to 256 MiB are
    kept. Returns whether it was done: only where malloc is glibc's.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and all(mallopt(*setting) for setting in _SETTINGS.items())
