"""How many workers of a study run at once on this machine: what the spec asks for, no more than there is room for.

A worker trains on one thread (fxai.agent.process), so one core each; more workers than cores only wait for each other.
"""

from __future__ import annotations

import math
import os
from pathlib import Path

from fxai.study.spec import StudySpec

CGROUP = Path("/sys/fs/cgroup/cpu.max")
"""Of a container: microseconds of CPU time in a period, and the period."""


def usable_cores() -> int:
    """Cores that this process may use: those of the machine, its affinity and its container's share: the least."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = CGROUP.read_text(encoding="ascii").split()
        return max(1, min(cores, math.ceil(int(quota) / int(period))))
    except (OSError, ValueError):  # no such file, or its quota is "max"
        return cores


def workers_of(spec: StudySpec) -> tuple[int, str | None]:
    """Workers that will run a study on this machine, and why fewer than `n_jobs` do; None where as many do."""
    cores = usable_cores()
    room, why = cores, f"this machine has {_counted(cores, 'core')} for it, one for each worker"
    gpus = _gpus(spec.base.training.device) if spec.gpu_per_trial is not None else 0
    if gpus and spec.gpu_per_trial is not None:
        each = int(1.0 / spec.gpu_per_trial + 1e-9)
        if gpus * each < room:
            room, why = gpus * each, f"{_counted(gpus, 'GPU')} at gpu_per_trial {spec.gpu_per_trial:g}"
    if spec.n_jobs <= room:
        return spec.n_jobs, None
    return room, f"n_jobs is {spec.n_jobs}, and {_counted(room, 'worker runs', 'workers run')}: {why}"


def _gpus(device: str) -> int:
    """GPUs that trainings would use; torch is asked only where the machine may have one."""
    if device == "cpu" or not Path("/dev/nvidiactl").exists():
        return 0
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return min(count, 1) if device.startswith("cuda:") else count


def _counted(number: int, one: str, many: str | None = None) -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
