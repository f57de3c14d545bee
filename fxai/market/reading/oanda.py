"""OANDA's candles (v20 REST): one response, a list of responses, or JSON lines of responses or candles."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from fxai.arrays import Array
from fxai.errors import DataError
from fxai.market.reading.container import Content
from fxai.market.reading.layout import OHLC, lines_of
from fxai.market.reading.memory import check_fits
from fxai.market.reading.raw import Source, shown

LEAST_BYTES = 150
"""Of a candle in a file: with one price and nothing that can be left out."""

KEYS = dict(zip(OHLC, "ohlc", strict=True))

PRICE_HINT = "ask OANDA for price=M (mid) or price=BA (bid and ask)"


@dataclass(slots=True)
class Candles:
    """The candles of a file, as it has them."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    instruments: list[str] = field(default_factory=list)
    granularities: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """Times and numbers of complete candles."""

    source: Source
    time: pd.Series[Any]
    numbers: dict[str, Array]
    quoted: bool
    label: str
    notes: tuple[str, ...]


def is_json(text: str) -> bool:
    """Whether a file begins as JSON does."""
    return text.lstrip()[:1] in ("{", "[")


def read_candles(content: Content) -> Parsed:
    """Times and numbers of the candles of a file.

    Raises:
        DataError: no JSON, no candles, several instruments, a candle that is incomplete or of another kind.
    """
    check_fits(content.size // LEAST_BYTES, len(OHLC), "json", content.name)
    with content.open() as file:
        raw = file.read()
    candles = _collected(_documents(raw, content.name), content.name)
    _check_one(candles.instruments, "instruments", content.name)
    _check_one(candles.granularities, "granularities", content.name)
    rows, order, notes = _complete(candles.rows, Source(name=content.name))
    source = Source(name=content.name, order_N=order if notes else None)
    sides = _sides(rows[0], source)
    numbers = {f"{side}{role}": _column(rows, SIDES[side], key, source) for side in sides for role, key in KEYS.items()}
    volumes = ["volume" in row for row in rows]
    if all(volumes):
        numbers["volume"] = _floats([row["volume"] for row in rows], "volume", source)
    times = pd.Series([row.get("time") for row in rows], dtype="object")
    name = " ".join([*candles.instruments, *candles.granularities])
    label = f"OANDA candles{' of ' + shown(name)[1:-1] if name else ''}"
    return Parsed(source=source, time=times, numbers=numbers, quoted=len(sides) == 2, label=label, notes=notes)


SIDES = {"": "mid", "bid_": "bid", "ask_": "ask"}
"""Prefix of a role → key of a candle."""


def _documents(raw: bytes, name: str) -> list[Any]:
    """The JSON values of a file: one, or one a line."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError("this is not UTF-8 text", where=name, hint="save it as UTF-8") from None
    try:
        return [_value(text, name)]
    except json.JSONDecodeError as error:
        if error.msg != "Extra data":
            raise _not_json(error, name, error.lineno) from None
    documents = []
    for number, line in enumerate(lines_of(text), start=1):
        if not line.strip():
            continue
        try:
            documents.append(_value(line, f"{name}:{number}"))
        except json.JSONDecodeError as error:
            raise _not_json(error, name, number) from None
    return documents


def _value(text: str, where: str) -> Any:
    """A JSON value; what is no JSON raises json.JSONDecodeError."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        raise
    except RecursionError:
        raise DataError("the JSON is nested too deeply", where=where) from None
    except ValueError:  # Python reads no integer of thousands of digits
        raise DataError("the JSON holds a number that is too long", where=where, hint="download it again") from None


def _not_json(error: json.JSONDecodeError, name: str, line: int) -> DataError:
    return DataError(
        f"this is not JSON: {error.msg} in column {error.colno}",
        where=f"{name}:{line}",
        hint="is the download complete?",
    )


def _collected(documents: list[Any], name: str) -> Candles:
    """All candles, in the order of the file."""
    candles = Candles()
    for item in _flat(documents):
        if isinstance(item, dict) and isinstance(item.get("candles"), list):
            for key, seen in (("instrument", candles.instruments), ("granularity", candles.granularities)):
                if (value := str(item.get(key, ""))) and value not in seen:
                    seen.append(value)
            candles.rows += item["candles"]
        else:
            candles.rows.append(item)
    if not candles.rows:
        raise DataError("there are no bars", where=name, hint="is the download complete?")
    for place, row in enumerate(candles.rows):
        if not isinstance(row, dict) or "time" not in row:
            raise DataError(
                "this JSON holds no OANDA candles",
                where=f"{name}, row {place + 1}",
                hint='a candle is {"time": …, "mid": {"o": …, "h": …, "l": …, "c": …}}; save other bars as CSV',
            )
    return candles


def _flat(documents: list[Any]) -> Iterator[Any]:
    for document in documents:
        if isinstance(document, list):
            yield from document
        else:
            yield document


def _check_one(names: list[str], what: str, where: str) -> None:
    if len(names) > 1:
        some = ", ".join(shown(name)[1:-1] for name in names[:5])
        raise DataError(f"the file holds several {what}: {some}", where=where, hint="write one file for each")


def _complete(
    rows: list[dict[str, Any]], source: Source
) -> tuple[list[dict[str, Any]], np.ndarray[Any, np.dtype[np.int64]], tuple[str, ...]]:
    """The candles whose bar is over, and their rows; the one still running may be at an end of the file."""
    running = [place for place, row in enumerate(rows) if row.get("complete") is False]
    inner = [place for place in running if place not in (0, len(rows) - 1)]
    if inner:
        raise DataError(
            "the candle is not complete, and others follow",
            where=source.at(inner[0]),
            hint="delete it, or download these bars again: the prices of a running bar still change",
        )
    kept = np.array([place for place in range(len(rows)) if place not in running], dtype=np.int64)
    if not len(kept):
        raise DataError("no candle is complete", where=source.name, hint="download again when the first bar is over")
    notes = tuple(f"{source.at(place)}: left out, the candle was not complete" for place in running)
    return [rows[place] for place in kept], kept, notes


def _sides(row: dict[str, Any], source: Source) -> tuple[str, ...]:
    """Prefixes of the prices that are read: bid and ask where both are there, else mid."""
    if "bid" in row and "ask" in row:
        return ("bid_", "ask_")
    if "mid" in row:
        return ("",)
    there = next((key for key in ("bid", "ask") if key in row), None)
    what = f"the candles hold {there} prices alone" if there else "the candle holds no prices"
    raise DataError(what, where=source.at(0), hint=PRICE_HINT)


def _column(rows: list[dict[str, Any]], side: str, key: str, source: Source) -> Array:
    values = []
    for place, row in enumerate(rows):
        prices = row.get(side)
        if not isinstance(prices, dict) or key not in prices:
            raise DataError(f"the candle has no {side}.{key}", where=source.at(place), hint=PRICE_HINT)
        values.append(prices[key])
    return _floats(values, f"{side}.{key}", source)


def _floats(values: list[Any], name: str, source: Source) -> Array:
    try:
        array_N = np.array(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise _not_a_number(values, name, source) from None
    if array_N.ndim != 1:  # lists of one length
        raise _not_a_number(values, name, source)
    return array_N


def _not_a_number(values: list[Any], name: str, source: Source) -> DataError:
    """The error of the first value that is none."""
    for place, value in enumerate(values):
        try:
            float("nan" if value is None else value)
        except (TypeError, ValueError, OverflowError):
            what = f"{name} {shown(value)} is not a number"
            return DataError(what, where=source.at(place), hint="delete the candle")
    return DataError(f"{name} cannot be read as numbers", where=source.name)
