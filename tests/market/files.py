"""Files of bars and how they are read, for the tests of readers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from fxai.config.data import DataConfig
from fxai.errors import DataError
from fxai.market.bars import to_bars
from fxai.market.checks import bars_note
from fxai.market.features import timeframe_s
from fxai.market.reading.raw import RawBars
from fxai.market.reading.readers import read_raw


def data_config(**options: Any) -> DataConfig:
    """A data section for one file that is named elsewhere."""
    return DataConfig(source="file", path="anywhere", instruments=("A",), **options)


def read(folder: Path, text: str | bytes, *, name: str = "data", **options: Any) -> RawBars:
    """What a file of this content holds; its name tells nothing."""
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_raw(path, data_config(**options))


def stamps(raw: RawBars) -> list[str]:
    return [str(pd.Timestamp(time_ns)) for time_ns in raw.time_N]


def values(raw: RawBars) -> dict[str, list[float]]:
    return {role: values_N.tolist() for role, values_N in raw.numbers.items()}


def printed(raw: RawBars) -> str:
    """The line that confirms how a file was read, as a study prints it."""
    return bars_note(raw.time_N, timeframe_s(raw.time_N), raw.origin)


def refused(folder: Path, text: str | bytes, **options: Any) -> tuple[str, str, str]:
    """Where (after the file's path), what and hint of the error that a file raises."""
    with pytest.raises(DataError) as error:
        to_bars(read(folder, text, **options))
    where = (error.value.where or "").removeprefix(str(folder / "data"))
    return where, error.value.what, error.value.hint or ""
