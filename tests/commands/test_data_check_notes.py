"""`data-check`: jumps, filled weekends and the beginning of weeks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from commands.test_data_check import check, hourly


@pytest.fixture(autouse=True)
def width(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")


def test_jumps_are_named_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    # rows 1,000 and 1,001 are ten times too high: up and down again are two jumps. Row 0 is line 2; 1,000 hours are
    # 41 days and 16 hours after 1 January
    path = hourly(tmp_path / "a.csv")
    frame = pd.read_csv(path)
    frame.loc[1000:1001, ["open", "high", "low", "close"]] *= 10.0
    frame.to_csv(path, index=False)
    code, text = check(capsys, path, "--timezone", "UTC")
    words = " ".join(text.split())
    assert code == 0
    assert "at 2024-02-11 16:00 (line 1002), the first of 2 jumps by more than 2 times; a wrong decimal point" in words
    assert "no defects, but 2 jumps by more than 2 times in the data: see the note" in text
    assert text.endswith("1 file checked: no defects, but jumps in 1\n")


def test_weekends_that_are_filled_are_noted_and_repeats_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    # 1 January 2024 is a Monday: 48 hours from hour 120 and 288 are Saturday and Sunday, and 400 hours end on the third
    # week's Wednesday. The first filler of each is flat where Friday's last bar is not: 47 of 48 repeat the bar before
    path = hourly(tmp_path / "a.csv", n=400, volume=7.0)
    frame = pd.read_csv(path)
    for first in (120, 288):
        frame.loc[first : first + 47, ["open", "high", "low", "close"]] = frame.loc[first - 1, "close"]
        frame.loc[first : first + 47, "volume"] = 0.0
    frame.to_csv(path, index=False)
    _, text = check(capsys, path, "--timezone", "UTC")
    words = " ".join(text.split())
    assert "repeats 94 bars with all the numbers of the bar before" in words
    assert "96 flat or repeated bars fill 2 weekends: they count in bars per year; download without flats" in words


def test_a_wrong_zone_shows_in_when_weeks_begin(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    # hours from Sunday 17:00 to Friday 16:00 in New York, 22:00 … 21:00 UTC in winter; clocks change on 10 March
    times = pd.date_range("2024-01-01", "2024-05-01", freq="h", tz="America/New_York")
    hours = (times.day_of_week * 24 + times.hour).to_numpy()
    times = times[(hours < 4 * 24 + 17) | (hours >= 6 * 24 + 17)].tz_convert("UTC").tz_localize(None)
    close = 1.1 + 1e-4 * np.arange(len(times)) % 7e-4
    pd.DataFrame({"time": times, "close": close}).to_csv(path := tmp_path / "a.csv", index=False)
    _, text = check(capsys, path, "--timezone", "UTC")
    words = " ".join(text.split())
    begin = (
        "weeks begin Sunday 22:00 (winter) / Sunday 21:00 (summer), end Friday 21:00 (winter) / Friday 20:00 (summer)"
    )
    assert begin in words
    assert "weeks begin Sunday 17:00 in New York" not in words
    _, text = check(capsys, path, "--timezone", "Etc/GMT-2")  # two hours too early
    words = " ".join(text.split())
    assert "note weeks begin Sunday 15:00 in New York, and those of currencies Sunday 17:00: is --timezone the" in words
