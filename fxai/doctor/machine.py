"""Cores, memory and the variables that start too many threads."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from fxai.doctor.finding import Finding, note, ok, wrong
from fxai.doctor.place import Place
from fxai.market.reading.memory import available_bytes
from fxai.study.workers import slots

WORKER_BYTES = 500_000_000
"""What a worker takes with a model of the default size, about (README: 354 MiB in training, on top of its bars)."""

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")

MEMINFO = Path("/proc/meminfo")


def check(place: Place) -> list[Finding]:
    """What this process may use of the machine."""
    cores = slots.usable_cores()
    workers = [(len(own), why) for own, why in map(slots.slots_of, place.studies)]
    most = max((number for number, _ in workers), default=cores)
    fewer = [note("cores", why, n_workers=number) for number, why in workers if why is not None]
    return [_cores(cores), *fewer, _memory(most), *threads(os.environ, cores)]


def _cores(cores: int) -> Finding:
    whole = os.cpu_count() or cores
    less = "" if cores == whole else f" of {whole}: affinity or the container's share leave no more"
    return ok("cores", f"{cores}{less}; a worker takes one", usable=cores, machine=whole)


def _memory(workers: int) -> Finding:
    free, total = available_bytes(), _total_bytes()
    if free is None:
        return note("memory", "this system does not tell how much is free")
    told = f"{free / 1e9:.1f} GB free" + ("" if total is None else f" of {total / 1e9:.1f} GB")
    room = free // WORKER_BYTES
    if room == 0:
        text = f"{told}: a worker takes about {WORKER_BYTES / 1e9:.1f} GB"
        return wrong("memory", text, "end other programs, or raise the container's limit", free_bytes=free)
    if room < workers:
        text = f"{told}, room for about {room} of {workers} workers"
        return note("memory", text, f"run fewer: --n-jobs {room}", free_bytes=free)
    return ok("memory", told, free_bytes=free, total_bytes=total)


def _total_bytes() -> int | None:
    """Of the machine; of the container, where that is less."""
    found = []
    with suppress(OSError, ValueError):
        lines = MEMINFO.read_text(encoding="ascii").splitlines()
        found += [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemTotal:")]
    with suppress(OSError, ValueError):  # no such file, or "max": no limit
        found.append(int(slots.CGROUP.with_name("memory.max").read_text(encoding="ascii")))
    return min(found, default=None)


def threads(env: Mapping[str, str], cores: int) -> list[Finding]:
    """Trainings set their own number, 1; what is imported beside them listens to these variables.

    Args:
        env: the environment.
        cores: that this process may use.
    """
    found = []
    for name in THREADS:
        value = env.get(name, "").strip()
        first = value.partition(",")[0]  # OMP takes a number for each depth of nesting
        if not value:
            continue
        if not first.isdecimal() or int(first) < 1:
            found.append(wrong("threads", f"{name}={value} is no number of threads", f"export {name}=1"))
        elif int(first) > cores:
            text = f"{name}={value}: each worker may start that many threads on {cores} cores, and all wait"
            found.append(wrong("threads", text, f"export {name}=1"))
    if not found:
        given = ", ".join(f"{name}={env[name]}" for name in THREADS if env.get(name)) or "no variable asks for more"
        found.append(ok("threads", f"one in each worker ({given})"))
    return found
