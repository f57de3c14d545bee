"""Bad bars (docs/faults.md F55 to F60) through the whole program: file, row and remedy, and nothing is begun."""

from __future__ import annotations

from pathlib import Path

import pytest

from fxai.cli import main
from fxai.config.data import DataConfig
from fxai.market.data import load_market
from fxai.market.reading import memory
from fxai.market.synthetic import ar1_bars

HEAD = "time,open,high,low,close\n"
GOOD = "2024-01-01 00:00,1.0,3.0,0.5,2.0\n2024-01-01 01:00,2.0,4.0,1.0,3.0\n"
NEXT = "2024-01-01 02:00,"

REFUSED = {
    # name: (rows after two good ones, words after the place, words of the hint)
    "F55 blank": (NEXT + "2.0,4.0,1.0,", "close is blank or NaN", "delete the row; bars are never filled in"),
    "F55 NaN": (NEXT + "2.0,nan,1.0,3.0", "high is blank or NaN", "delete the row"),
    "F55 inf": (NEXT + "inf,4.0,1.0,3.0", "open is infinite", "delete the row"),
    "F55 -inf": (NEXT + "2.0,4.0,-inf,3.0", "low is infinite", "delete the row"),
    "F56 duplicate": ("2024-01-01 01:00,2.0,4.0,1.0,3.0", "01:00:00 UTC repeats that of", "one bar for each time"),
    "F56 unsorted": ("2023-12-31 23:00,2.0,4.0,1.0,3.0", "is before that of the row before", "data.sort: true"),
    "F56 mixed zones": (
        "2024-01-01 02:00+01:00,2.0,4.0,1.0,3.0",
        "has an offset from UTC, unlike the first row",
        "all times with their offset, or none",
    ),
    "F57 zero": (NEXT + "0.0,4.0,0.0,3.0", "open is 0, a price must be above 0", "correct it at its source"),
    "F57 negative": (NEXT + "2.0,4.0,1.0,-3.0", "close is -3, a price must be above 0", "correct it at its source"),
    "F57 high below low": (NEXT + "2.0,1.0,4.0,3.0", "high 1 is below low 4", "are not exchanged"),
    "F60 decimal comma": (NEXT + '2.0,4.0,1.0,"3,5"', "close '3,5' has a decimal comma", "data.decimal"),
}


def train(tmp_path: Path, bars: Path, capsys: pytest.CaptureFixture[str], **env: int) -> tuple[int, str]:
    """`train` on a file; the exit code and all that was said."""
    rules = ", ".join(f"{name}: {value}" for name, value in env.items())
    (config := tmp_path / "config.yaml").write_text(
        f"data: {{source: file, path: '{bars}', instruments: [A], timezone: UTC}}\nenv: {{{rules}}}\n"
    )
    code = main(["train", "--config", str(config), "--out", str(tmp_path / "out")])
    out, err = capsys.readouterr()
    return code, out + err


def check(bars: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = main(["data-check", str(bars), "--timezone", "UTC"])
    return code, capsys.readouterr().out


@pytest.mark.parametrize("name", REFUSED)
def test_bad_rows_are_refused_before_anything_is_trained(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows, what, hint = REFUSED[name]
    (bars := tmp_path / "bars.csv").write_text(HEAD + GOOD + rows + "\n")
    option = hint.replace("data.sort: true", "--sort").replace("data.", "--")  # a person typed a command, no config
    trained, checked = train(tmp_path, bars, capsys), check(bars, capsys)
    for (code, text), remedy in ((trained, hint), (checked, option)):
        words = " ".join(text.split())
        assert code == 2
        assert f"{bars}:4: " in words
        assert what in words.partition(f"{bars}:4: ")[2]
        assert remedy in words.partition("hint: ")[2]
        assert "Traceback" not in words
    assert not list((tmp_path / "out").glob("weights*"))


def test_f58_a_jump_is_a_note_and_no_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # row 500 of 0-based rows is on line 502; a missing decimal point makes 1.05 of it 105
    frame = ar1_bars(2000, 0.0)
    frame.iloc[500] *= 150.0
    frame.index = frame.index.tz_localize(None)
    frame.to_csv(bars := tmp_path / "bars.csv")
    data = DataConfig(source="file", path=str(bars), instruments=("A",), timezone="UTC")
    said = [note for note in load_market(data).notes if "jumps" in note]
    assert len(said) == 1
    # 500 hours are 20 days and 20 hours after 3 January 2000
    assert said[0].startswith("A: the price jumps from ")
    at = "at 2000-01-23 20:00:00 UTC, the first of 2 jumps by more than 2 times"
    assert said[0].endswith(f"{at}; a wrong decimal point, or another instrument?")
    code, text = check(bars, capsys)
    assert code == 0
    assert "at 2000-01-23 20:00 (line 502), the first of 2 jumps" in " ".join(text.split())


def test_f58_too_few_bars_name_both_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # 1,000 hours: validation begins at row 700 (699.3) and ends 64 before row 850 (849.15): 86 bars
    frame = ar1_bars(1000, 0.0)
    frame.index = frame.index.tz_localize(None)
    frame.to_csv(bars := tmp_path / "bars.csv")
    code, text = train(tmp_path, bars, capsys, max_episode_steps=256)
    assert code == 2
    assert "A has 86 bars in validation, and window + episode need 384" in text
    assert "max_episode_steps" in text.partition("hint: ")[2]


def test_f59_a_file_beyond_memory_is_refused_before_it_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda: 2**20)
    frame = ar1_bars(20_000, 0.0)
    frame.index = frame.index.tz_localize(None)
    frame.to_csv(bars := tmp_path / "bars.csv")
    for code, text in (train(tmp_path, bars, capsys), check(bars, capsys)):
        assert code == 2
        assert "bars need about" in text
        assert "GiB are free" in " ".join(text.split())
        assert "n_jobs" in text.partition("hint: ")[2]


def test_f60_bom_semicolons_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    text = (HEAD + GOOD).replace(",", ";").replace("\n", "\r\n")
    (bars := tmp_path / "bars.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    from fxai.market.bars import read_bars

    read = read_bars(bars, DataConfig(source="file", path=str(bars), instruments=("A",), timezone="UTC"))
    assert read.close_N.tolist() == [2.0, 3.0]
    assert read.open_N is not None
    assert read.open_N.tolist() == [1.0, 2.0]


def test_f60_the_option_that_is_named_reads_the_decimal_commas(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (HEAD + GOOD).replace(",", ";").replace(".", ",")
    (bars := tmp_path / "bars.csv").write_text(text)
    code, said = check(bars, capsys)
    assert code == 2
    assert "has a decimal comma" in said
    assert "--decimal ','" in " ".join(said.split())
    code = main(["data-check", str(bars), "--timezone", "UTC", "--decimal", ","])
    assert code == 0
    assert "no defects" in capsys.readouterr().out
