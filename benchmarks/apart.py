"""What the speed benchmarks share: contenders measured one after the other, each in a process of its own."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Result = dict[str, Any]
"""What one run reports: at least steps, wall_s, cpu_s and settings."""


def run_apart(script: Path, title: str, passed: Mapping[str, object], threads: int) -> Result:
    """Run a script with options and read the JSON of its last line.

    This process stays small: Linux counts what a process held before its exec into its peak.

    Args:
        script: the benchmark.
        title: of the contender, for an error.
        passed: options by name, without the dashes.
        threads: of its linear algebra.
    """
    command = [sys.executable, str(script.resolve())]
    command += [text for name, value in passed.items() for text in (f"--{name}", str(value))]
    limits = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    done = subprocess.run(command, env={**os.environ, **limits}, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"the run of {title} failed (see above); it needs the extra `bench`")
    result: Result = json.loads(done.stdout.splitlines()[-1])
    return result


def measure(work: Callable[[], int], seconds: float) -> Result:
    """Do whole pieces of work until `seconds` have passed; `work` returns the steps it took."""
    steps, wall, cpu = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - wall < seconds:
        steps += work()
    return {"steps": steps, "wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}


def speed(result: Result) -> float:
    """Steps per second of wall time."""
    return float(result["steps"] / result["wall_s"])


def cores() -> list[int]:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def processor() -> str:
    """Name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
