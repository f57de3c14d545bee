"""Estimates of memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow
import pyarrow.csv
import pytest

from fxai.errors import DataError
from fxai.market.reading import memory
from fxai.market.synthetic import ar1_bars


def test_need_grows_with_rows_and_cells(monkeypatch: pytest.MonkeyPatch):
    # 1,000 bars × (250 + 5 text cells × 40) = 450,000 bytes, which fit into 80% of 562,500 and not of 562,499
    monkeypatch.setattr(memory, "available_bytes", lambda: 562_500)
    memory.check_fits(1000, 5, "text", "bars.csv")
    monkeypatch.setattr(memory, "available_bytes", lambda: 562_499)
    with pytest.raises(DataError, match="1,000 bars need about"):
        memory.check_fits(1000, 5, "text", "bars.csv")


def test_unknown_memory_refuses_nothing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: None)
    memory.check_fits(10**12, 5, "text", "bars.csv")


def test_the_container_limits_what_the_machine_has(monkeypatch: pytest.MonkeyPatch):
    files = {
        "/proc/meminfo": "MemTotal: 9 kB\nMemAvailable:   2000 kB\n",
        "/sys/fs/cgroup/memory.max": "1500000\n",
        "/sys/fs/cgroup/memory.current": "500000\n",
    }

    def read_text(path: Path, encoding: str) -> str:
        if str(path) not in files:
            raise FileNotFoundError
        return files[str(path)]

    monkeypatch.setattr(Path, "read_text", read_text)
    assert memory.available_bytes() == 1_000_000  # 1,500,000 − 500,000 is below 2,000 kB
    files["/sys/fs/cgroup/memory.max"] = "max\n"
    assert memory.available_bytes() == 2000 * 1024
    files.clear()
    assert memory.available_bytes() is None


CHILD = """
import sys
from pathlib import Path
from fxai.config.data import DataConfig
from fxai.market import data
from fxai.market.reading import memory

def peak():
    # of this process alone: ru_maxrss begins with what the parent had
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))

def recorded(rows, cells, kind, where, original=memory.check_fits):
    print(rows * (memory.BYTES_PER_ROW + cells * memory.BYTES_PER_CELL[kind]))
    original(rows, cells, kind, where)
import fxai.market.reading.delimited, fxai.market.reading.readers
fxai.market.reading.delimited.check_fits = fxai.market.reading.readers.check_fits = recorded
small, big = sys.argv[1:]
def load(path):
    data.load_market(DataConfig(source="file", path=path, instruments=("A",), timezone="UTC"))
load(small)
before = peak()
load(big)
print(peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is read from Linux")
@pytest.mark.parametrize("kind", ["text", "quotes", "parquet"])
def test_the_estimate_is_above_what_a_load_takes_and_not_far_above(tmp_path: Path, kind: str):
    """Of a whole load, from the file to features: measured in a child, beyond what a file of few bars takes."""
    paths = []
    for name, bars in (("small", 500), ("big", 400_000)):
        frame = ar1_bars(bars, 0.1, timeframe_s=60).reset_index()
        if kind == "quotes":
            prices = ("open", "high", "low", "close")
            quotes = {
                f"{side}_{price}": frame[price] * by for side, by in (("bid", 1), ("ask", 1.0001)) for price in prices
            }
            frame = pd.DataFrame({"time": frame["time"], **quotes, "volume": 1})
        frame["time"] = frame["time"].dt.tz_localize(None)
        paths.append(tmp_path / f"{name}.{'parquet' if kind == 'parquet' else 'csv'}")
        if kind == "parquet":
            frame.to_parquet(paths[-1])
        else:
            pyarrow.csv.write_csv(pyarrow.Table.from_pandas(frame), paths[-1])  # ten times as fast as pandas
    command = [sys.executable, "-c", CHILD, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    _, estimate, taken = (int(line) for line in done.stdout.split())
    assert taken <= estimate <= 5 * taken, f"{taken / 400_000:.0f} bytes a bar, estimated {estimate / 400_000:.0f}"
