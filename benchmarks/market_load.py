"""Seconds and memory from a file of minute bars to train and validation features: without the cache, with it, from it.

Writes a HistData M1 ASCII file (`;`, no header, fixed UTC−5) of 5 million made-up bars into a temporary folder and
loads it three times, each in a process of its own: with the cache off, with an empty one, with one that is filled.
Seconds are by the clock and of the processor (on a busy machine the second is less disturbed); memory is the peak
resident set of that process, Python and libraries included. The file was just written, so it comes from the
operating system's memory, not from the disk.

    python benchmarks/market_load.py                  # 5,000,000 bars, 270 MB of text
    python benchmarks/market_load.py --bars 500000
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

RUNS = (("cache off", False), ("cache empty", True), ("cache filled", True))
BLOCK = 100_000


def write_bars(path: Path, bars: int) -> None:
    """A random walk on a calendar of weeks from Sunday 17:00 to Friday 17:00 New York winter time."""
    rng = np.random.default_rng(0)
    week, minute_N = np.divmod(np.arange(bars), 5 * 1440)
    first = pd.Timestamp("2004-01-04 17:00").timestamp()
    stamp_N = pd.to_datetime(first + week * 7 * 86_400 + minute_N * 60, unit="s").strftime("%Y%m%d %H%M%S")
    close_N = 1.2 * np.exp(np.cumsum(rng.normal(0.0, 1e-4, bars)))
    open_N = np.concatenate([[1.2], close_N[:-1]])
    high_N, low_N = np.maximum(open_N, close_N) + 5e-5, np.minimum(open_N, close_N) - 5e-5
    with path.open("w", encoding="ascii") as file:
        for start in range(0, bars, BLOCK):
            block = slice(start, start + BLOCK)
            rows = zip(stamp_N[block], open_N[block], high_N[block], low_N[block], close_N[block], strict=True)
            file.writelines(f"{t};{o:.6f};{h:.6f};{lo:.6f};{c:.6f};0\n" for t, o, h, lo, c in rows)


def load(path: Path) -> dict[str, float]:
    """In a process of its own: seconds from the start of the imports to the market, and the peak of memory."""
    began = time.perf_counter()
    from fxai.config.data import DataConfig
    from fxai.market.data import load_market

    imported = time.perf_counter()
    market = load_market(DataConfig(source="file", path=str(path), instruments=("EURUSD",)))
    seconds = time.perf_counter() - imported
    rows = sum(len(part.features_NF) for part in market.parts)
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = used.ru_utime + used.ru_stime
    return {
        "import_s": imported - began,
        "load_s": seconds,
        "cpu_s": cpu_s,
        "rows": rows,
        "peak_bytes": peak_bytes(),
    }


def peak_bytes() -> int:
    """Of this process alone; `ru_maxrss` would begin with what the parent had when it started the child."""
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def in_a_child(path: Path, cache: Path | None) -> dict[str, float]:
    environment = {**os.environ, "FXAI_CACHE": "off" if cache is None else str(cache), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, "--load", str(path)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--bars", type=int, default=5_000_000, help="default: %(default)s")
    parser.add_argument("--load", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.load is not None:
        print(json.dumps(load(options.load)))
        return
    with tempfile.TemporaryDirectory() as folder:
        path, cache = Path(folder) / "bars.csv", Path(folder) / "cache"
        write_bars(path, options.bars)
        print(f"{options.bars:,} bars, {path.stat().st_size / 1e6:,.0f} MB of HistData M1 ASCII")
        print(f"{'':14}{'import s':>10}{'load s':>10}{'CPU s':>10}{'peak MiB':>10}{'cache MB':>10}")
        for name, with_cache in RUNS:
            run = in_a_child(path, cache if with_cache else None)
            kept = sum(file.stat().st_size for file in cache.glob("*")) if cache.exists() else 0
            sizes = f"{run['cpu_s']:10.2f}{run['peak_bytes'] / 2**20:10,.0f}{kept / 1e6:10,.0f}"
            print(f"{name:14}{run['import_s']:10.2f}{run['load_s']:10.2f}{sizes}")
    print("limits: 30 s, 3,072 MiB")


if __name__ == "__main__":
    main()
