"""The bundled reference rates."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fxai.config.data import MAJORS, DataConfig
from fxai.errors import DataError
from fxai.market import ecb
from fxai.market.data import load_market


@pytest.fixture(scope="module")
def majors() -> dict[str, ecb.Bars]:
    return ecb.read_pairs(MAJORS)


def rate(bars: ecb.Bars, day: str) -> float:
    """The rate of one day."""
    row = int(np.searchsorted(bars.time_N, pd.Timestamp(day).value))
    assert bars.time_N[row] == pd.Timestamp(day).as_unit("ns").value
    return float(bars.close_N[row])


def test_majors_have_every_day_since_1999(majors: dict[str, ecb.Bars]):
    days = len(majors["EURUSD"])
    assert days >= 7126  # newer releases of the package have more
    for bars in majors.values():
        assert len(bars) == days
        assert pd.Timestamp(bars.time_N[0]) == pd.Timestamp("1999-01-04")
        assert (np.diff(bars.time_N) > 0).all()
        # no more than the Easter holidays, five days, between two rates
        assert np.diff(bars.time_N).max() == 5 * 86_400 * 10**9
        assert np.isfinite(bars.close_N).all()
        assert list(bars.arrays()) == ["close"]


def test_known_rates(majors: dict[str, ecb.Bars]):
    # in the ECB's table 2020-01-02 reads USD 1.1193, JPY 121.75, GBP 0.84828 per euro
    assert rate(majors["EURUSD"], "2020-01-02") == 1.1193
    assert rate(majors["USDJPY"], "2020-01-02") == pytest.approx(121.75 / 1.1193, rel=1e-15)  # 108.773
    assert rate(majors["GBPUSD"], "2020-01-02") == pytest.approx(1.1193 / 0.84828, rel=1e-15)  # 1.31949
    assert rate(majors["EURUSD"], "1999-01-04") == 1.1789
    assert rate(majors["EURUSD"], "2008-07-15") == 1.599


def test_a_pair_and_its_inverse():
    bars = ecb.read_pairs(("EURGBP", "GBPEUR"))
    np.testing.assert_allclose(bars["EURGBP"].close_N * bars["GBPEUR"].close_N, 1.0, rtol=1e-15)


def test_crosses_are_pairs_without_the_euro():
    assert ecb.crosses(("EURUSD", "USDJPY", "CHFEUR", "GBPUSD")) == ("USDJPY", "GBPUSD")


def test_a_currency_that_came_later_has_its_own_days(majors: dict[str, ecb.Bars]):
    real = ecb.read_pairs(("USDBRL",))["USDBRL"]
    assert 4000 < len(real) < len(majors["EURUSD"])
    assert np.isfinite(real.close_N).all()


@pytest.mark.parametrize(
    ("pair", "what"),
    [
        ("EURXAU", "the ECB has no currency 'XAU' (of 'EURXAU')"),
        ("eurusd", "the ECB has no currency 'eur' (of 'eurusd')"),
        ("EUR/USD", "'EUR/USD' is not two currencies, as EURUSD is"),
        ("USDUSD", "'USDUSD' is not two currencies, as EURUSD is"),
        ("EURDat", "the ECB has no currency 'Dat' (of 'EURDat')"),
    ],
)
def test_unknown_pairs_are_refused_with_what_there_is(pair: str, what: str):
    with pytest.raises(DataError) as error:
        load_market(DataConfig(instruments=("EURUSD", pair)), where="my.yaml:3 data")
    assert error.value.what == what
    assert error.value.where == "my.yaml:3 data.instruments"
    assert error.value.hint is not None
    assert error.value.hint.startswith("there are AUD BGN BRL CAD CHF")
    assert "EUR" in error.value.hint


def test_the_default_market():
    market = load_market(DataConfig())
    assert market.derived == ("USDJPY", "GBPUSD", "USDCHF", "AUDUSD", "USDCAD", "NZDUSD")
    assert market.timeframe_s == 86_400.0
    assert market.bars_per_year == pytest.approx(256, abs=1)  # 7,126 days in 27.8 years
    assert not market.has_open
    assert market.test is None
    assert market.train is not None
    assert market.train.instruments == MAJORS
    assert "time_of_day_sin" not in market.train.feature_names
    assert len(market.notes) == 1
    assert market.notes[0].startswith(f"{', '.join(MAJORS)}: ")
    assert "longest 5 days after 2000-04-20" in market.notes[0]


def test_orders_at_the_open_are_refused():
    market = load_market(DataConfig(instruments=("EURUSD",)))
    market.check_execution("next_close")
    with pytest.raises(DataError, match="next_open needs bars with an open"):
        market.check_execution("next_open")
