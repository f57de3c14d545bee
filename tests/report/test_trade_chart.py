from __future__ import annotations

import numpy as np
from report.trades import DAY_NS, some_trades

from fxai.evaluate.trades import FLIP
from fxai.report.trade_chart import MAX_TRADES, chosen, left_out, trades_figure


def test_every_trade_is_drawn_from_entry_to_exit() -> None:
    trades = some_trades(
        3,
        side_K=[1, -1, 1],
        gain_K=[0.01, 0.02, -0.03],
        entry_price_K=[1.1, 1.2, 1.3],
        exit_price_K=[1.2, 1.3, 1.1],
        pnl_K=[100.0, 202.0, -306.0],
        reason_K=[FLIP] * 3,
    )
    figure = trades_figure("EUR<b>", np.arange(5) * DAY_NS, np.linspace(1.0, 1.4, 5), trades, 4000)
    price, long_gain, long_loss, short_gain = figure.data
    assert len(price.x) == 5
    assert [trace.name for trace in figure.data[1:]] == ["long, gain", "long, no gain", "short, gain"]
    assert list(long_gain.x) == ["1970-01-01T00:00:00", "1970-01-02T00:00:00", None]
    assert list(long_gain.y) == [1.1, 1.2, None]
    assert list(short_gain.y) == [1.2, 1.3, None]
    assert list(long_loss.marker.symbol) == ["triangle-up", "x-thin-open", "triangle-up"]
    assert short_gain.marker.symbol[0] == "triangle-down"
    assert long_loss.text[0].startswith("long, -3.000% (-306.00)<br>in  1970-01-03 00:00 at 1.3<br>")
    assert "1.1, flip<br>1 bar," in long_loss.text[0]
    assert figure.layout.yaxis.title.text == "EUR&lt;b&gt;"


def test_too_many_trades_are_thinned_and_it_is_said() -> None:
    count = MAX_TRADES + 500
    gain = np.linspace(0.0, 0.1, count)
    gain[700] = -0.5  # the largest of all, in the middle
    kept = chosen(some_trades(count, gain_K=gain))
    assert len(kept) == MAX_TRADES == len(set(kept.tolist()))
    fifth = MAX_TRADES // 5
    assert set(range(fifth)) | set(range(count - fifth, count)) | {700} <= set(kept.tolist())
    # between the ends the largest win: the small gains that rise with their place are the first to go
    assert fifth not in kept
    trades = [some_trades(count), some_trades(MAX_TRADES)]
    assert left_out(("A", "B"), trades) == [
        "A: of 1,500 trades 1,000 are drawn: the first 200, the last 200, and between them the 600 with the largest "
        "gain or loss. The list of --csv has all."
    ]
