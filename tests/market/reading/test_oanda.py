"""OANDA's candles: responses, lists of responses, JSON lines; mid or bid and ask."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from market.files import printed, read, refused, stamps, values

from fxai.market.bars import to_bars
from fxai.market.reading import memory

MID_0 = {"o": "1.09946", "h": "1.09957", "l": "1.09932", "c": "1.09950"}
MID_1 = {"o": "1.09951", "h": "1.09960", "l": "1.09940", "c": "1.09942"}


def candle(time: str, *, complete: bool = True, **prices: Any) -> dict[str, Any]:
    return {"complete": complete, "volume": 117, "time": time, **(prices or {"mid": MID_0})}


def response(*candles: dict[str, Any], **more: str) -> dict[str, Any]:
    return {"instrument": "EUR_USD", "granularity": "M15", "candles": list(candles), **more}


PAIRS = {key: ["1", "2"] for key in "ohlc"}

TOO_LONG = "the JSON holds a number that is too long"

FIRST = candle("2016-10-17T15:00:00.000000000Z")
SECOND = candle("2016-10-17T15:15:00.000000000Z", mid=MID_1)


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(response(FIRST, SECOND)),
        json.dumps(response(FIRST, SECOND), indent=2),
        "\ufeff" + json.dumps(response(FIRST, SECOND)),
        json.dumps([response(FIRST), response(SECOND)]),
        json.dumps(response(FIRST)) + "\n" + json.dumps(response(SECOND)) + "\n\n",
        json.dumps(FIRST) + "\n" + json.dumps(SECOND),
        json.dumps([FIRST, SECOND]),
    ],
    ids=["one", "indented", "bom", "list of responses", "lines of responses", "lines of candles", "list of candles"],
)
def test_the_same_candles_however_they_are_written(tmp_path: Path, text: str):
    raw = read(tmp_path, text)
    assert stamps(raw) == ["2016-10-17 15:00:00", "2016-10-17 15:15:00"]
    assert values(raw) == {
        "open": [1.09946, 1.09951],
        "high": [1.09957, 1.0996],
        "low": [1.09932, 1.0994],
        "close": [1.0995, 1.09942],
        "volume": [117, 117],
    }
    assert not raw.quoted
    of = " of EUR_USD M15" if "EUR_USD" in text else ""
    assert printed(raw) == (
        f"OANDA candles{of}, 15-minute bars, times in UTC by their offsets: "
        "2 bars from 2016-10-17 15:00:00 to 2016-10-17 15:15:00 UTC, no gaps"
    )


def test_unix_times_to_the_nanosecond(tmp_path: Path):
    # 1,476,716,400 s is 2016-10-17 15:00:00 UTC
    text = json.dumps(response(candle("1476716400.000000000"), candle("1476717300.000000001")))
    raw = read(tmp_path, text)
    assert stamps(raw) == ["2016-10-17 15:00:00", "2016-10-17 15:15:00.000000001"]
    assert raw.origin.timezone == "unix seconds"


def test_bid_and_ask_make_the_real_spread_and_mid_is_not_read(tmp_path: Path):
    bid = {"o": "1.09900", "h": "1.09950", "l": "1.09890", "c": "1.09940"}
    ask = {"o": "1.09920", "h": "1.09970", "l": "1.09910", "c": "1.09960"}
    raw = read(tmp_path, json.dumps(response(candle("2016-10-17T15:00:00Z", bid=bid, ask=ask, mid=MID_0))))
    assert raw.quoted
    bars = to_bars(raw)
    # mid of the close (1.0994 + 1.0996) / 2 = 1.0995, spread 0.0002 / 1.0995 = 1.819009 bp
    assert bars.close_N.tolist() == pytest.approx([1.0995], rel=1e-15)
    assert bars.spread_close_bp_N is not None
    assert bars.spread_close_bp_N.tolist() == pytest.approx([1.8190086], rel=1e-7)


@pytest.mark.parametrize("newest_first", [False, True])
def test_the_candle_that_is_still_running_is_left_out(tmp_path: Path, newest_first: bool):
    candles = [FIRST, SECOND, candle("2016-10-17T15:30:00Z", complete=False)]
    raw = read(tmp_path, json.dumps(response(*candles[:: -1 if newest_first else 1])), sort=newest_first)
    assert stamps(raw) == ["2016-10-17 15:00:00", "2016-10-17 15:15:00"]
    row = 1 if newest_first else 3
    assert raw.notes == (f"{tmp_path / 'data'}, row {row}: left out, the candle was not complete",)
    # rows are those of the file: newest first, the running candle is row 1, and bars 0 and 1 are rows 3 and 2
    assert [raw.source.at(bar)[-1] for bar in (0, 1)] == (["3", "2"] if newest_first else ["1", "2"])


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        (
            json.dumps(response(FIRST, candle("2016-10-17T15:15:00Z", complete=False), SECOND)),
            ", row 2",
            "the candle is not complete, and others follow",
        ),
        (json.dumps(response(candle("2016-10-17T15:15:00Z", complete=False))), "", "no candle is complete"),
        (
            json.dumps(response(candle("2016-10-17T15:15:00Z", bid=MID_0))),
            ", row 1",
            "the candles hold bid prices alone",
        ),
        (json.dumps(response({"time": "2016-10-17T15:15:00Z"})), ", row 1", "the candle holds no prices"),
        (
            json.dumps(response(FIRST, candle("2016-10-17T15:15:00Z", bid=MID_0, ask=MID_0))),
            ", row 2",
            "the candle has no mid.o",
        ),
        (
            json.dumps(response(FIRST, candle("2016-10-17T15:15:00Z", mid={**MID_0, "l": "x"}))),
            ", row 2",
            "mid.l 'x' is not a number",
        ),
        (
            json.dumps(response(FIRST, candle("2016-10-17T15:15:00Z", mid={**MID_0, "l": "NaN"}))),
            ", row 2",
            "low is blank or NaN",
        ),
        (
            json.dumps(response(FIRST, FIRST)),
            ", row 2",
            "the time 2016-10-17 15:00:00 UTC repeats that of the row before",
        ),
        (
            json.dumps([response(FIRST), response(SECOND, instrument="GBP_USD")]),
            "",
            "the file holds several instruments: EUR_USD, GBP_USD",
        ),
        (
            json.dumps([response(FIRST), response(SECOND, granularity="H1")]),
            "",
            "the file holds several granularities: M15, H1",
        ),
        (json.dumps(response()), "", "there are no bars"),
        (json.dumps([{"Open": 1, "Close": 2}]), ", row 1", "this JSON holds no OANDA candles"),
        (json.dumps([1, 2]), ", row 1", "this JSON holds no OANDA candles"),
        (json.dumps(response(FIRST, SECOND))[:-20], ":1", "this is not JSON: "),
        (json.dumps(response(FIRST)) + "\n{,}\n", ":2", "this is not JSON: "),
        ("[" * 100_000, "", "the JSON is nested too deeply"),
        (json.dumps(FIRST) + "\n" + "[" * 100_000, ":2", "the JSON is nested too deeply"),
        ('{"candles": [{"time": ' + "9" * 5000 + "}]}", "", TOO_LONG),
        (json.dumps(FIRST) + '\n{"time": ' + "9" * 5000 + "}", ":2", TOO_LONG),
        (
            json.dumps(response(candle("2016-10-17T15:00:00Z", mid=PAIRS))),
            ", row 1",
            "mid.o \"['1', '2']\" is not a num",
        ),
        (
            json.dumps(response(FIRST, candle("2016-10-17T15:15:00Z", mid={**MID_0, "h": 10**400}))),
            ", row 2",
            "mid.h '1000000000",
        ),
        (
            json.dumps(response(FIRST, candle("2016-10-17T15:15:00Z", mid={**MID_0, "h": [1]}))),
            ", row 2",
            "mid.h '[1]' is not a number",
        ),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, where: str, what: str):
    got = refused(tmp_path, text)
    assert got[0] == where
    assert got[1].startswith(what)


def test_lines_end_where_json_lines_do(tmp_path: Path):
    # U+2028 may stand in a string of JSON as it is
    text = "\r\n".join(json.dumps({**one, "remark": "a\u2028b"}, ensure_ascii=False) for one in (FIRST, SECOND))
    assert len(read(tmp_path, text)) == 2


def test_a_time_that_no_candle_has(tmp_path: Path):
    where, what, _ = refused(tmp_path, json.dumps(response(FIRST, {**SECOND, "time": None})))
    assert (where, what) == (", row 2", "the time is blank")


def test_options_that_json_cannot_have(tmp_path: Path):
    text = json.dumps(response(FIRST, SECOND))
    assert refused(tmp_path, text, format="table")[1] == "this is not what data.format: table says: it is JSON"
    assert "no <SPREAD> in points" in refused(tmp_path, text, point_size=0.001)[1]
    assert len(read(tmp_path, text, format="oanda")) == 2


def test_candles_that_would_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    text = json.dumps(response(*[candle(f"{1476716400 + 900 * i}.000000000") for i in range(2000)]))
    monkeypatch.setattr(
        memory, "available_bytes", lambda: 2**20
    )  # less than 8 bytes for each of the 330,000 of the file
    assert "bars need about" in refused(tmp_path, text)[1]
    monkeypatch.setattr(memory, "available_bytes", lambda: 2**30)
    assert len(read(tmp_path, text)) == 2000
