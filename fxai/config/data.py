"""Where prices come from and how time is cut into train, validation and sealed test."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, model_validator

from fxai.config.base import Settings, Strings

MAJORS = ("EURUSD", "USDJPY", "GBPUSD", "USDCHF", "AUDUSD", "USDCAD", "NZDUSD")


FileFormat = Literal[
    "auto",
    "histdata_ascii",
    "histdata_mt",
    "dukascopy",
    "metatrader",
    "lean",
    "oanda",
    "yfinance",
    "databento",
    "binance",
    "table",
]
"""Layouts of files of bars; docs/data.md shows a line of each."""


def _point_size(value: Any) -> Any:
    """A number above 0, `last_digit` or null."""
    if value is None or value == "last_digit":
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0.0 < value <= 1.0:
        return float(value)
    raise ValueError("point_size is the size of a point, such as 0.00001, or last_digit")


FILE_OPTIONS = ("path", "format", "timezone", "date_order", "decimal", "sort", "price_scale", "point_size")
"""How a file is read; the bundled source takes none of them, and bars that come out alike are the same data."""

PointSize = Annotated[float | Literal["last_digit"] | None, PlainValidator(_point_size)]


class SplitConfig(Settings):
    """Shares of the time range, in order: train | purge | validation | purge | test."""

    validation: float = Field(default=0.15, gt=0.0, lt=0.5)
    """Share of the whole time range that scores trials."""

    test: float = Field(default=0.15, gt=0.0, lt=0.5)
    """Share at the end, sealed: no training or study sees it, and a backtest only where it is asked to aloud."""

    purge_bars: int = Field(default=64, ge=0)
    """Bars dropped before validation and before test, so that no feature window straddles a cut."""


class DataConfig(Settings):
    """One source of price bars."""

    source: Literal["ecb", "file"] = "ecb"
    """`ecb`: bundled daily reference rates since 1999, one price a day. `file`: your CSV or Parquet."""

    path: str | None = None
    """File for `source: file`; `{instrument}` in it stands for each name of `instruments`."""

    instruments: Strings = MAJORS
    """Six-letter pairs for `ecb`; for `file` the names of what the files hold."""

    format: FileFormat = "auto"
    """Layout of a file; `auto` tells it from the content and prints which it found."""

    timezone: str | None = None
    """Zone of a file's times that carry no offset: an IANA name, or one moved by a fixed time as in
    `America/New_York+07:00`. May be left out where the format defines it."""

    date_order: Literal["day_first", "month_first", "year_first"] | None = None
    """Order in dates such as 01/02/2024; without it they are refused. ISO dates and the vendors' own need none."""

    decimal: Literal[".", ","] = "."
    """Decimal mark of a text file."""

    sort: bool = False
    """Sort the rows of a file by time; otherwise rows that are not oldest first are refused."""

    price_scale: float | None = Field(default=None, gt=0.0)
    """What a file's prices are multiplied by: 0.00001 makes 109550 1.0955. 1 says that whole numbers are right."""

    point_size: PointSize = None
    """Size of a point in a MetaTrader <SPREAD>, in units of the price; `last_digit`: of the prices as written."""

    start: str | None = Field(default=None, pattern=r"^\d{4}-\d{2}-\d{2}$")
    """First day used, `YYYY-MM-DD` (quoted in YAML); all when null."""

    end: str | None = Field(default=None, pattern=r"^\d{4}-\d{2}-\d{2}$")
    """Last day used; all when null."""

    split: SplitConfig = SplitConfig()

    @model_validator(mode="after")
    def _fits_the_source(self) -> DataConfig:
        if not self.instruments:
            raise ValueError("instruments is empty: name at least one")
        if len(set(self.instruments)) < len(self.instruments):
            raise ValueError("instruments names one twice")
        if self.source == "file" and self.path is None:
            raise ValueError("source: file needs path")
        given = [name for name in FILE_OPTIONS if getattr(self, name) != type(self).model_fields[name].default]
        if self.source == "ecb" and given:
            raise ValueError(f"source: ecb takes no {given[0]}; for your own bars write source: file")
        if self.price_scale is not None and self.price_scale > 1.0:
            raise ValueError(
                f"price_scale is what prices are multiplied by: for prices × {self.price_scale:g} write "
                f"{f'{1 / self.price_scale:.9f}'.rstrip('0')}"
            )
        if self.source == "file" and len(self.instruments) > 1 and "{instrument}" not in (self.path or ""):
            raise ValueError("several instruments need {instrument} in path, one file each")
        return self
