"""Trials per minute of a study with one worker and with as many as there are cores, each pinned to its own.

    python benchmarks/workers.py

Real PPO trainings on the bundled rates; the studies take turns, so that a machine that is busy is so for all.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from apart import cores, processor

ROOT = Path(__file__).parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--updates", type=int, default=16)
    args = parser.parse_args()
    many = len(cores())
    rates: dict[int, list[float]] = {1: [], many: []}
    for _ in range(args.repeats):
        for workers, found in rates.items():
            found.append(60.0 * args.trials / seconds(workers, args.trials, args.updates))
    print(f"{processor()}, {many} cores; {args.trials} trials of {args.updates} updates, {args.repeats} times each")
    for workers, found in rates.items():
        each = ", ".join(f"{rate:.1f}" for rate in found)
        print(f"{workers} workers: {statistics.median(found):.1f} trials a minute ({each})")
    ratios = [b / a for a, b in zip(rates[1], rates[many], strict=True)]
    print(f"ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


def seconds(workers: int, trials: int, updates: int) -> float:
    """Wall time of a whole study, its start included."""
    with tempfile.TemporaryDirectory() as folder:
        options = {
            "spec": ROOT / "config" / "optuna" / "demo.yaml",
            "storage": f"sqlite:///{folder}/study.db",
            "results-dir": f"{folder}/results",
            "n-trials": trials,
            "n-jobs": workers,
            "set": f"training.total_updates={updates}",
        }
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        began = time.monotonic()
        subprocess.run([sys.executable, str(ROOT / "optuna_optimization.py"), *words, "--quiet"], check=True, cwd=ROOT)
        return time.monotonic() - began


if __name__ == "__main__":
    main()
