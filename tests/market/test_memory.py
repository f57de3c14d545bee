"""Estimates of memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from fxai.errors import DataError
from fxai.market import memory


def test_need_grows_with_rows_and_cells(monkeypatch: pytest.MonkeyPatch):
    # 1,000 bars × (200 + 5 text cells × 40) = 400,000 bytes, which fit into 80% of 500,000 and not of 499,999
    monkeypatch.setattr(memory, "available_bytes", lambda: 500_000)
    memory.check_fits(1000, 5, "text", "bars.csv")
    monkeypatch.setattr(memory, "available_bytes", lambda: 499_999)
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
