"""Where prices come from and how time is cut into train, validation and sealed test."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from fxai.config.base import Settings, Strings

MAJORS = ("EURUSD", "USDJPY", "GBPUSD", "USDCHF", "AUDUSD", "USDCAD", "NZDUSD")


class SplitConfig(Settings):
    """Shares of the time range, in order: train | purge | validation | purge | test."""

    validation: float = Field(default=0.15, gt=0.0, lt=0.5)
    """Share of the whole time range that scores trials."""

    test: float = Field(default=0.15, gt=0.0, lt=0.5)
    """Share at the end that no trial may see; only `verdict` opens it."""

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

    timezone: str | None = None
    """IANA name of the zone that a file's naive timestamps are in; required for `source: file`."""

    start: str | None = Field(default=None, pattern=r"^\d{4}-\d{2}-\d{2}$")
    """First day used, `YYYY-MM-DD` (quoted in YAML); all when null."""

    end: str | None = Field(default=None, pattern=r"^\d{4}-\d{2}-\d{2}$")
    """Last day used; all when null."""

    split: SplitConfig = SplitConfig()

    @model_validator(mode="after")
    def _file_needs_path_and_zone(self) -> DataConfig:
        if not self.instruments:
            raise ValueError("instruments is empty: name at least one")
        if len(set(self.instruments)) < len(self.instruments):
            raise ValueError("instruments names one twice")
        if self.source == "file" and self.path is None:
            raise ValueError("source: file needs path")
        if self.source == "file" and self.timezone is None:
            raise ValueError("source: file needs timezone, the zone of its timestamps, for example UTC")
        if self.source == "ecb" and (self.path is not None or self.timezone is not None):
            raise ValueError("source: ecb takes no path or timezone; for your own bars write source: file")
        if self.source == "file" and len(self.instruments) > 1 and "{instrument}" not in (self.path or ""):
            raise ValueError("several instruments need {instrument} in path, one file each")
        return self
