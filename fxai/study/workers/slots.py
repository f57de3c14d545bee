"""Where the workers of a study run on this machine: how many at once, and each on which cores and which GPU.

A worker trains on one thread (fxai.agent.process), so one core each; more workers than cores only wait for each other.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from fxai.study.spec import StudySpec

CGROUP = Path("/sys/fs/cgroup/cpu.max")
"""Of a container: microseconds of CPU time in a period, and the period."""

_ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""What the libraries below numpy and torch ask for at their import."""


@dataclass(frozen=True, slots=True)
class Slot:
    """The place of one worker."""

    index: int
    cores: tuple[int, ...] = ()
    """Cores that it keeps to; none where it may use all."""

    gpu: str | None = None
    """The only GPU that it sees, as CUDA_VISIBLE_DEVICES names it; None where it sees all."""

    @property
    def environment(self) -> dict[str, str]:
        """Variables that its process must have before it imports anything."""
        gpu = {} if self.gpu is None else {"CUDA_VISIBLE_DEVICES": self.gpu}
        return dict.fromkeys(_ONE_THREAD, "1") | gpu

    def settle(self) -> None:
        """Keep the calling process to the slot's cores, where the system can do that."""
        if self.cores and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, self.cores)

    def __str__(self) -> str:
        gpu = "" if self.gpu is None else f", GPU {self.gpu}"
        return f"cores {', '.join(map(str, self.cores)) or 'any'}{gpu}"


def usable_cores() -> int:
    """Cores that this process may use: those of the machine, its affinity and its container's share: the least."""
    cores = len(_cores())
    try:
        quota, period = CGROUP.read_text(encoding="ascii").split()
        return max(1, min(cores, math.ceil(int(quota) / int(period))))
    except (OSError, ValueError):  # no such file, or its quota is "max"
        return cores


def slots_of(spec: StudySpec, *, oversubscribe: bool = False) -> tuple[tuple[Slot, ...], str | None]:
    """Places of the workers that will run a study on this machine.

    Args:
        spec: asks for `n_jobs` workers with `gpu_per_trial` of a GPU each.
        oversubscribe: give it as many as it asks for, wherever that leads.

    Returns:
        The places, and why they are fewer than `n_jobs`; None where they are not.
    """
    gpus = _gpus(spec.base.training.device)
    room, why = _room(spec, len(gpus))
    n = spec.n_jobs if oversubscribe else min(spec.n_jobs, room)
    seen = gpus if spec.base.training.device == "auto" else []
    slots = tuple(Slot(i, own, seen[i % len(seen)] if seen else None) for i, own in enumerate(_shares(_cores(), n)))
    if n == spec.n_jobs:
        return slots, None
    fewer = f"n_jobs is {spec.n_jobs}, and {_counted(n, 'worker runs', 'workers run')}: {why}"
    return slots, f"{fewer} (--oversubscribe runs them all)"


def _room(spec: StudySpec, gpus: int) -> tuple[int, str]:
    """Workers that there is room for, and what sets the limit."""
    cores = usable_cores()
    if gpus and spec.gpu_per_trial is not None:
        each = int(1.0 / spec.gpu_per_trial + 1e-9)
        if gpus * each < cores:
            return gpus * each, f"{_counted(gpus, 'GPU')} at gpu_per_trial {spec.gpu_per_trial:g}"
    return cores, f"this machine has {_counted(cores, 'core')} for it, one for each worker"


def _shares(cores: list[int], n: int) -> list[tuple[int, ...]]:
    """The cores dealt out among n workers, neighbours together; one for each in turn where there are more workers."""
    if n > len(cores):
        return [(cores[i % len(cores)],) for i in range(n)]
    bounds = [len(cores) * i // n for i in range(n + 1)]
    return [tuple(cores[a:b]) for a, b in pairwise(bounds)]


def _cores() -> list[int]:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _gpus(device: str) -> list[str]:
    """GPUs that trainings would use, by their names; torch is asked only where the machine may have one."""
    if device == "cpu" or not Path("/dev/nvidiactl").exists():
        return []
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    given = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    visible = given[:count] if given else [str(i) for i in range(count)]
    return visible[:1] if device.startswith("cuda") else visible


def _counted(number: int, one: str, many: str | None = None) -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
