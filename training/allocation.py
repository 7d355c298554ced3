"""Allocation of memory in trainings and evaluations."""

import ctypes
import os
import platform

# Parameters of mallopt from glibc's malloc.h, with values.
_KEEP = {
    -4: 0,  # M_MMAP_MAX: number of blocks with a mapping of their own, which is never reused
    -1: (2 << 30) - 1,  # M_TRIM_THRESHOLD: free bytes at the end of the heap that are kept
    -2: 256 << 20,  # M_TOP_PAD: bytes by which the heap grows; unused pages take no memory
}


def keep_freed_memory() -> None:
    """Let glibc reuse freed memory instead of returning it to the system at every step.

    Otherwise the system maps and clears the pages of the tensors of every step anew. Values in the
    environment (MALLOC_...) have precedence; other C libraries are left as they are.
    """
    chosen = any(name.startswith("MALLOC_") for name in os.environ)
    if platform.libc_ver()[0] == "glibc" and not chosen:
        libc = ctypes.CDLL(None)
        for parameter, value in _KEEP.items():
            libc.mallopt(parameter, value)
