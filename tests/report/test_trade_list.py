from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from report.trades import some_trades

from fxai.errors import InputError
from fxai.evaluate.trades import FLIP, OPEN, REASONS
from fxai.report.trade_list import HEADER, safe, write_trades


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    first = some_trades(2, side_K=[1, -1], gain_K=[0.1, -1 / 3], pnl_K=[1000.0, -3666.67], reason_K=[FLIP, OPEN])
    path = tmp_path / "trades.csv"
    write_trades(path, ("EURUSD", "A,B"), [first, some_trades(1)])
    read = pd.read_csv(path)
    assert tuple(read.columns) == HEADER
    assert read["instrument"].tolist() == ["EURUSD", "EURUSD", "A,B"]
    assert read["side"].tolist() == ["long", "short", "long"]
    assert read["entry_time"].tolist() == ["1970-01-01T00:00:00Z", "1970-01-02T00:00:00Z", "1970-01-01T00:00:00Z"]
    assert read["gain"].tolist() == [0.1, -1 / 3, 0.0]  # to the last bit
    assert read["pnl"].tolist() == [1000.0, -3666.67, 0.0]
    assert read["exit_reason"].tolist() == ["flip", "open at end", "signal"]


def test_no_trades_are_a_header(tmp_path: Path) -> None:
    write_trades(tmp_path / "t.csv", ("A",), [some_trades(0)])
    assert (tmp_path / "t.csv").read_text() == ",".join(HEADER) + "\n"


@pytest.mark.parametrize("name", ["=1+1", "+A1", "-A1", "@SUM(A1)", "  =1", "\t=1", "＝1"])
def test_no_text_is_a_formula(tmp_path: Path, name: str) -> None:
    write_trades(tmp_path / "t.csv", (name,), [some_trades(1)])
    with (tmp_path / "t.csv").open(encoding="utf-8", newline="") as file:
        cell = list(csv.reader(file))[1][0]
    assert cell.startswith("'")


def test_ordinary_names_stay_and_control_characters_do_not() -> None:
    assert safe("EUR-USD") == "EUR-USD"
    assert safe("a\x1b[31m") == "a\\x1b[31m"
    assert safe("") == ""


def test_stamps_keep_their_digits(tmp_path: Path) -> None:
    write_trades(tmp_path / "t.csv", ("A",), [some_trades(1, entry_time_K=np.array([1_500_000_000]))])
    assert ",1970-01-01T00:00:01.500000000Z," in (tmp_path / "t.csv").read_text()


def test_a_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "t.csv").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="symbolic link"):
        write_trades(tmp_path / "t.csv", ("A",), [some_trades(1)])


def test_every_column_and_reason_is_in_the_document() -> None:
    document = (Path(__file__).parents[2] / "docs" / "trading_model.md").read_text(encoding="utf-8")
    section = document.partition("### The list of trades")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    columns = [name for row in rows for name in re.findall("`([a-z_]+)`", row.split("|")[1])]
    assert tuple(columns[:2]) == ("instrument", "side")
    # the document groups what is alike
    assert sorted(columns) == sorted(HEADER)
    reasons = re.findall("`([a-z ]+)`:", rows[-1])
    assert tuple(reasons) == REASONS
