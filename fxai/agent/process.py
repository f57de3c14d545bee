"""Settings of the process that trains, made once before its first tensor."""

from __future__ import annotations

import ctypes
import platform

import torch

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
"""Of glibc's malloc.h."""


def prepare_process(threads: int = 1) -> None:
    """One thread unless told otherwise, and freed memory kept for the next update (docs/decisions.md, "one thread").

    The matrices are small: a second thread gains little on an idle machine and loses a factor of ten on a busy one,
    where each of thousands of short parallel regions waits for the core that is taken. More cores are used by more
    workers. Without the second setting glibc returns every large tensor to the system and faults it in again.
    """
    torch.set_num_threads(threads)
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, 2**25)
        libc.mallopt(_M_TRIM_THRESHOLD, 2**30)
        libc.mallopt(_M_TOP_PAD, 2**26)
