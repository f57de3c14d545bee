"""What torch raises when a device has no memory left or is broken, as errors that say so."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

from fxai.config import TrainingConfig
from fxai.study.objective import DeviceLost, OutOfMemory

_NO_MEMORY = re.compile(
    r"not enough memory|can't allocate memory|out of memory|ALLOC_FAILED|std::bad_alloc", re.IGNORECASE
)
"""Of torch's CPU allocator on its systems, of CUDA where it reserves beside torch's allocator, of cuBLAS, of C++."""

_ON_THE_HOST = re.compile(r"CPUAllocator|std::bad_alloc")

_LOST = re.compile(r"CUDA error: |CUDNN_STATUS_|CUBLAS_STATUS_")

_ADVICE = re.compile(r" Search for | CUDA kernel errors | For debugging | Compile with ")
"""Where torch's message of an error of CUDA goes on with advice for programmers."""


@contextlib.contextmanager
def named_failures(device: torch.device, training: TrainingConfig) -> Iterator[None]:
    """Name the two failures that are not the trial's fault alone.

    Args:
        device: that the block trains on; its peak is counted from here on.
        training: what trains.

    Raises:
        OutOfMemory: something could not be allocated.
        DeviceLost: any other error of the device, after which every call on it fails.
    """
    try:
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        yield
    except (MemoryError, RuntimeError) as error:
        text = " ".join(str(error).split())
        host = isinstance(error, MemoryError) or _ON_THE_HOST.search(text)
        if host or isinstance(error, torch.OutOfMemoryError) or _NO_MEMORY.search(text):
            place = torch.device("cpu") if host else device
            raise OutOfMemory(str(place), *memory_of(place), training.segments_per_micro_batch) from error
        if isinstance(error, torch.AcceleratorError) or _LOST.search(text):
            raise DeviceLost(str(device), _ADVICE.split(text)[0]) from error
        raise


def memory_of(device: torch.device) -> tuple[int | None, int | None]:
    """Peak taken so far and what there is, in bytes; None where nobody tells."""
    if device.type == "cpu":
        return _peak_of_process(), _memory_of_machine()
    try:
        return torch.cuda.max_memory_allocated(device), torch.cuda.get_device_properties(device).total_memory
    except RuntimeError:  # the device is broken besides
        return None, None


def _peak_of_process() -> int:
    """Largest resident size of this process."""
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size if sys.platform == "darwin" else size * 1024


def _memory_of_machine() -> int | None:
    """Memory of the machine, or the limit of its container where that is less."""
    try:
        machine: int | None = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        machine = None
    try:
        limit: int | None = int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii"))
    except (OSError, ValueError):  # "max": no limit
        limit = None
    known = [size for size in (machine, limit) if size is not None]
    return min(known) if known else None
