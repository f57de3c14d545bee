"""`data-check`: what it says of good files and bad ones, and how it exits."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fxai.cli import main
from fxai.market.synthetic import ar1_bars

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def width(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")


def check(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str]:
    code = main(["data-check", *(str(word) for word in words)])
    out, err = capsys.readouterr()
    return code, out + err


def hourly(path: Path, n: int = 3000, **columns: object) -> Path:
    """`n` hours without gaps from Monday 2024-01-01."""
    frame = ar1_bars(n, 0.0, start="2024-01-01").assign(**columns)
    frame.index = frame.index.tz_localize(None)
    frame.to_csv(path)
    return path


def test_a_clean_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = hourly(tmp_path / "EURUSD.csv", spread=1e-4, volume=7)
    code, text = check(capsys, path, "--timezone", "UTC")
    assert code == 0
    lines = text.splitlines()
    assert lines[0] == f"EURUSD · {path}"
    assert "  bars           3,000 from 2024-01-01 to 2024-05-04 23:00:00 UTC" in lines  # 125 days of 24 hours
    assert "  timeframe      1 hour (100% of the steps)" in lines
    assert "  bars per year  8,766, by which metrics are annualised" in lines  # 365.25 · 24
    assert "  gaps           no weekends" in lines
    assert "                 no other gaps" in lines
    assert "  flat bars      none" in lines
    assert "  spread         real: median " in text
    assert "  volume         in every bar" in lines
    assert "  ok: no defects" in lines
    # 2,999 steps: validation from 0.7 · 2999 = row 2,100 (2099.3), test from 2549.15, row 2,550; lookback 64, purge 64:
    # rows 64 … 2,035; 2,100 … 2,485; 2,550 … 2,999. Row 2,100 is 87.5 days after 1 January, 2,550 106.25
    assert "  EURUSD      1,972         386   450  2024-03-28       2024-04-16" in lines
    assert "  window and episode need 384 bars of each instrument in each part" in lines
    assert lines[-1] == "1 file checked: no defects"


def test_plain_and_narrow(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = hourly(tmp_path / "a.csv")
    _, text = check(capsys, path, "--timezone", "UTC")
    _, *lines = text.splitlines()
    assert "\x1b" not in text
    assert max(len(line) for line in lines) <= 80
    assert not any(line.endswith(" ") for line in lines)


def test_the_spread_is_an_estimate_where_there_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    _, text = check(capsys, hourly(tmp_path / "a.csv"), "--timezone", "UTC")
    words = " ".join(text.split())
    assert "none in the file; an estimate from close, high and low (Abdi & Ranaldo 2017): " in words
    assert "set env.spread_bp to what your broker takes" in words
    assert "volume none in the file" in words


HEAD = "time,open,high,low,close,volume,spread\n"
DEFECTS = {
    "blank or infinite": "2024-01-01 02:00,2,4,1,,1,0",
    "time goes back": "2023-12-31 23:00,2,4,1,3,1,0",
    "repeated time": "2024-01-01 01:00,2,4,1,3,1,0",
    "price not above 0": "2024-01-01 02:00,0,4,0,3,1,0",
    "high below low": "2024-01-01 02:00,2,1,4,3,1,0",
    "negative volume": "2024-01-01 02:00,2,4,1,3,-1,0",
    "negative spread": "2024-01-01 02:00,2,4,1,3,1,-1",
    "spread too wide": "2024-01-01 02:00,2,4,1,3,1,9",
}


@pytest.mark.parametrize("kind", DEFECTS)
def test_each_kind_of_defect_has_its_line_and_remedy(tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str):
    good = "2024-01-01 00:00,2,4,1,3,1,0\n2024-01-01 01:00,2,4,1,3,1,0\n"
    (path := tmp_path / "a.csv").write_text(HEAD + good + DEFECTS[kind] + "\n")
    code, text = check(capsys, path, "--timezone", "UTC")
    assert code == 2
    assert f"  defect: {kind} in 1 row\n    {path}:4: " in text
    after = text.partition(f"{path}:4: ")[2].splitlines()
    assert after[1].startswith("    hint: ")
    assert len(after[1]) > 20
    assert text.endswith("1 of 1 file cannot be used: 1 defective row\n")


def test_ask_below_bid(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (path := tmp_path / "a.csv").write_text("time,bid_close,ask_close\n2024-01-01,1,1.1\n2024-01-02,1.1,1\n")
    code, text = check(capsys, path, "--timezone", "UTC")
    assert code == 2
    assert f"defect: ask below bid in 1 row\n    {path}:3: ask_close 1 is below bid_close 1.1" in text


def test_all_kinds_at_once_and_the_first_rows_of_many(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    rows = [f"2024-01-01 {hour:02},1,{hour % 2},1.5,-1,1,0" for hour in range(10)]
    rows += ["2024-01-01 09,1,2,1,1,1,0", "2024-01-01 03,1,2,1,1,1,0"]
    (path := tmp_path / "a.csv").write_text(HEAD + "\n".join(rows))
    code, text = check(capsys, path, "--timezone", "UTC", "--max-rows-shown", 2)
    assert code == 2
    # ten rows with a close of −1 and a high of 0 or 1 below the low of 1.5; then one repeats the hour 9, one goes back
    assert "defect: price not above 0 in 10 rows" in text
    assert f"{path}:2: high is 0" in text or f"{path}:2: close is -1" in text
    assert "... and 8 more" in text
    assert "defect: high below low in 10 rows" in text
    assert "defect: repeated time in 1 row" in text
    assert "defect: time goes back in 1 row" in text
    assert text.count(f"    {path}:") == 2 + 2 + 1 + 1
    assert text.endswith("1 of 1 file cannot be used: 12 defective rows\n")


def test_figures_are_of_the_rows_without_defects(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = hourly(tmp_path / "a.csv")
    lines = path.read_text().splitlines()
    lines[100] = lines[100].rpartition(",")[0] + ",0"
    path.write_text("\n".join(lines))
    code, text = check(capsys, path, "--timezone", "UTC")
    assert code == 2
    assert "rows 3,000; what follows is of the 2,999 without defects, in order of time" in " ".join(text.split())
    assert "timeframe      1 hour" in text
    assert f"{path}:101: close is 0" in text
    assert "\nsplit\n" not in text


def test_a_file_that_cannot_be_read_does_not_hide_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    good = hourly(tmp_path / "good.csv")
    (broken := tmp_path / "broken.csv").write_text("time,close\n2024-01-01,x\n")
    code, text = check(capsys, tmp_path / "none.csv", broken, good, "--timezone", "UTC")
    assert code == 2
    assert f"defect: {tmp_path / 'none.csv'}: there is no such file" in text
    assert f"defect: {broken}:2: close 'x' is not a number" in text
    assert "ok: no defects" in text
    assert text.endswith("2 of 3 files cannot be used\n")


def test_options_are_those_of_the_data_section(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (path := tmp_path / "a.csv").write_text(
        "time;close\n03.01.2024 00:00;1,5\n02.01.2024 00:00;1,25\n01.01.2024;1,25\n"
    )
    words = [path, "--timezone", "UTC", "--decimal", ",", "--date-order", "day_first"]
    code, text = check(capsys, *words)
    assert code == 2
    assert "defect: time goes back in 2 rows" in text
    assert "hint: --sort sorts the rows by time" in text  # in a config it is data.sort: true
    code, text = check(capsys, *words, "--sort")
    assert code == 0
    assert "bars           3 from 2024-01-01 to 2024-01-03 UTC" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "error: there is no file to check"),
        (["a.csv", "--config", "b.yaml"], "error: FILE cannot be given beside --config"),
        (["--config", "b.yaml", "--sort"], "error: --sort cannot be given beside --config"),
        (["a.csv", "--format", "excel"], "error: --format: format: must be one of auto, "),
        (["a.csv", "--price-scale", "x"], "error: --price-scale: price_scale: must be a number, got the text 'x'"),
        (["a.csv", "--price-scale", "0"], "error: --price-scale: price_scale: must be > 0"),
        (["a.csv", "--point-size", "7"], "point_size is the size of a point"),
    ],
)
def test_options_that_cannot_be(capsys: pytest.CaptureFixture[str], words: list[str], message: str):
    code, text = check(capsys, *words)
    assert code == 2
    assert message in text
    assert "Traceback" not in text


def config(tmp_path: Path, instruments: str, more: str = "") -> Path:
    files = f"source: file, path: '{tmp_path}/{{instrument}}.csv', timezone: UTC"
    (path := tmp_path / "c.yaml").write_text(f"data: {{{files}, instruments: {instruments}}}\n{more}")
    return path


def test_a_config_names_files_and_need(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for name in ("AAA", "BBB"):
        hourly(tmp_path / f"{name}.csv")
    code, text = check(capsys, "--config", config(tmp_path, "[AAA, BBB]"))
    assert code == 0
    assert "  AAA         1,972" in text
    assert "  BBB         1,972" in text
    assert text.count("\nsplit\n") == 1
    assert text.endswith("2 instruments checked: no defects\n")
    # validation has 386 bars (above); window 128 + episode 384 need 512
    more = "env: {max_episode_steps: 384}\n"
    code, text = check(capsys, "--config", config(tmp_path, "[AAA, BBB]", more))
    assert code == 2
    assert "AAA has 386 bars in validation, and window + episode need 512" in text
    assert text.endswith("no defects, but a study cannot use these bars as they are cut\n")


def test_too_few_bars_for_the_defaults_are_a_note(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    code, text = check(capsys, hourly(tmp_path / "a.csv", n=500), "--timezone", "UTC")
    assert code == 0
    assert "note: the default settings do not fit these bars" in text
    assert "window + episode need 384" in " ".join(text.split())


def test_instruments_that_do_not_go_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    hourly(tmp_path / "AAA.csv")
    hourly(tmp_path / "BBB.csv", spread=1e-4)
    code, text = check(capsys, "--config", config(tmp_path, "[AAA, BBB]"))
    assert code == 2
    assert "AAA and BBB differ: only BBB has spread_close_bp" in text


def test_settings_are_named_as_options_where_there_is_no_config(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = hourly(tmp_path / "AAA.csv")
    _, text = check(capsys, path)
    assert "hint: set --timezone to the zone of the file's times" in " ".join(text.split())
    path.write_text("time;close\n2024-01-01;1,5\n")
    _, text = check(capsys, path, "--timezone", "UTC")
    assert "hint: set --decimal ','" in text
    (tmp_path / "c.yaml").write_text(f"data: {{source: file, path: {path}, instruments: [AAA], timezone: UTC}}\n")
    _, text = check(capsys, "--config", tmp_path / "c.yaml")
    assert "hint: set data.decimal: ','" in text


def test_the_bundled_rates(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (path := tmp_path / "c.yaml").write_text(
        "data: {source: ecb, instruments: [EURUSD, USDJPY]}\nenv: {execution: next_close}\n"
    )
    code, text = check(capsys, "--config", path)
    assert code == 0
    assert "EURUSD · bundled ECB reference rates\n" in text
    assert "USDJPY · bundled ECB reference rates, a cross\n" in text
    assert "timeframe      1 day" in text
    assert "Roll" in text


def test_a_config_without_bars(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (path := tmp_path / "c.yaml").write_text("env: {gym_id: CartPole-v1}\n")
    code, text = check(capsys, "--config", path)
    assert code == 2
    assert f"error: {path}: this config has no data section" in text


def test_names_and_cells_cannot_command_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (path := tmp_path / "\x1b[31mred.csv").write_text("time,close,\x1b[32mx\n2024-01-01,\x1b[31m1,1\n")
    code, text = check(capsys, path, "--timezone", "UTC")
    assert code == 2
    assert "\x1b" not in text
    assert r"\x1b[31mred" in text


def test_files_with_one_row_or_two(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (path := tmp_path / "a.csv").write_text("time,close\n2024-01-01,1\n2024-01-02,1\n")
    code, text = check(capsys, path, "--timezone", "UTC")
    assert code == 0
    assert "bars           2: too few to measure" in text
    assert "a has 2 bars, and features alone look back 64" in " ".join(text.split())


def test_prices_of_the_sealed_test_are_not_looked_at(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    # 0.85 · 2,999 steps are 2,549.15 hours, 106 days and 5 hours after 1 January 00:00: row 2,550 is the first sealed
    path = hourly(tmp_path / "a.csv", spread=1e-4, volume=7)
    code, before = check(capsys, path, "--timezone", "UTC")
    assert code == 0
    line = (
        "prices what follows is of the 2,550 bars before 2024-04-16 05:09, where the sealed test of the default split "
    )
    assert f"{line}begins" in " ".join(before.split())
    frame = pd.read_csv(path)
    wild = frame.copy()
    late = wild.index >= 2550
    for column in ("open", "high", "low", "close"):
        wild.loc[late, column] = np.where(np.arange(450) % 2, 3.0, 1.0)
    wild.loc[late, ["spread", "volume"]] = [0.05, 0]
    wild.to_csv(path, index=False)
    assert check(capsys, path, "--timezone", "UTC") == (code, before)
    # one row earlier is validation, and a defect of a sealed bar is told
    wild.loc[2549, ["open", "high", "low", "close"]] = 3.0
    wild.to_csv(path, index=False)
    assert "2024-04-16 05:00 (line 2551)" in check(capsys, path, "--timezone", "UTC")[1]
    frame.loc[2999, "close"] = -1.0
    frame.to_csv(path, index=False)
    code, text = check(capsys, path, "--timezone", "UTC")
    assert (code, f"{path}:3001: close is -1" in text) == (2, True)


def test_the_sealed_test_of_a_config(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    # AAA has the hours 0 … 2,999, BBB 0 … 999; half of the time that either has, from 1,499.5 on, is sealed for both
    hourly(tmp_path / "AAA.csv")
    hourly(tmp_path / "BBB.csv", n=1000)
    split = "split: {validation: 0.1, test: 0.49}"
    path = config(tmp_path, "[AAA, BBB]")
    path.write_text(path.read_text().replace("timezone: UTC", f"timezone: UTC, {split}"))
    _, text = check(capsys, "--config", path)
    # 0.51 · 2,999 hours are 1,529.49: 63 days, 17 hours and 29 minutes after 1 January
    words = " ".join(text.split())
    assert "what follows is of the 1,530 bars before 2024-03-04 17:29, where the sealed test of this config" in words
    assert words.count("what follows is of the") == 1  # all of BBB lies before
    # of what comes after `end` nothing is in the study, and nothing is told of its prices
    path.write_text(path.read_text().replace("timezone: UTC", "timezone: UTC, end: 2024-01-31"))
    _, text = check(capsys, "--config", path)
    # until 31 January 23:00, hour 743: 0.51 · 743 = 378.93
    words = " ".join(text.split())
    assert words.count("what follows is of the 379 bars before 2024-01-16 18:55, where") == 2


def test_a_hole_is_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    # the hours of 100 days from row 1,000 on are left out: from 11 February 15:00 to 21 May 16:00
    path = hourly(tmp_path / "a.csv", n=6000)
    frame = pd.read_csv(path).drop(index=range(1000, 3400))
    frame.to_csv(path, index=False)
    code, text = check(capsys, path, "--timezone", "UTC")
    assert code == 0
    words = " ".join(text.split())
    assert "bars per year 8,766, by which metrics are annualised" in words
    assert (
        "warning data are missing: no bars for 100 days from 2024-02-11 15:00:00 to 2024-05-21 16:00:00 UTC; "
        "bars per year, by which metrics are annualised, leave that time out"
    ) in words
    assert "1 other gap, the longest 100 days after 2024-02-11 15:00 (line 1001); 2,400 bars would fill them" in words
    assert "  no defects, but 1 hole in the data: see the warning" in text
    assert "ok: no defects" not in text
    assert text.endswith("1 file checked: no defects, but holes in 1\n")


def test_outliers_are_listed_with_time_and_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    # bar 1,000 is on line 1,002, 41 days and 16 hours after the start; tenfold and back is a spike
    path = hourly(tmp_path / "a.csv")
    frame = pd.read_csv(path)
    frame.loc[1000, ["open", "high", "low", "close"]] *= 10
    frame.to_csv(path, index=False)
    code, text = check(capsys, path, "--timezone", "UTC")
    assert code == 0
    assert "1 spike beyond 10 × and" in text
    change = 100 * (frame["close"][1000] / frame["close"][999] - 1)
    assert f"{change:+8.3f}%" in text
    assert "2024-02-11 16:00 (line 1002), taken back" in text


def test_it_answers_in_a_pipe_that_closes(tmp_path: Path):
    path = hourly(tmp_path / "a.csv")
    command = [sys.executable, "optuna_optimization.py", "data-check", str(path), "--timezone", "UTC"]
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.close()
    _, errors = child.communicate()
    assert b"Traceback" not in errors
    assert child.returncode == 0


def test_flat_and_volume_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = hourly(tmp_path / "a.csv", volume=np.zeros(3000, dtype=int))
    frame = pd.read_csv(path)
    for row in (10, 11, 50):
        frame.loc[row, ["open", "high", "low", "close"]] = frame["close"][row]
    frame.to_csv(path, index=False)
    _, text = check(capsys, path, "--timezone", "UTC")
    # 3 rows of 2,550, those before the sealed test, are 0.1176%; row 10 is line 12, 10:00
    assert "3 (0.1176%), at most 2 in a row, from 2024-01-01 10:00 (line 12)" in " ".join(text.split())
    assert "volume         0 in every bar, so it is no feature" in text
