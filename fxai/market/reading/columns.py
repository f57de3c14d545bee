"""Which column of a file is what, by name.

Names are compared without case, spaces, underscores and the brackets of MetaTrader: `Gmt time`, `BID_OPEN`,
`<CLOSE>`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from fxai.errors import DataError
from fxai.market.reading.raw import shown

ALIASES: dict[str, tuple[str, ...]] = {
    "open": ("open", "o"),
    "high": ("high", "h"),
    "low": ("low", "l"),
    "close": ("close", "c", "price"),
    "volume": ("volume", "tickvolume", "tickvol", "vol", "v"),
    "spread": ("spread",),
    **{f"{side}_{price}": (f"{side}{price}",) for side in ("bid", "ask") for price in ("open", "high", "low", "close")},
}
"""Role of a column → the names it goes by; the first that exists is taken."""

TIME_ALIASES = ("timestamp", "datetime", "gmttime", "utctime", "localtime", "opentime", "tsevent")
"""Names of a whole timestamp. `date` and `time` are a pair where both exist, else either is the whole."""

SAME = ("symbol", "ticker", "instrument", "pair", "rtype")
"""Names of columns that tell instruments or, in Databento's files, lengths of bars apart."""

UNNAMED_FIRST, UNNAMED_PARQUET = ("", "unnamed:0", "index"), "indexlevel0"
"""What pandas calls an index without a name, in the first column of CSV and anywhere in Parquet."""

WANTED = "time, close, and if there are: open, high, low, volume, spread, or bid_open … ask_close"


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Positions of the columns that are read."""

    time: tuple[int, ...]
    """One column, or a date and a time."""

    numbers: dict[str, int]
    """Role → position."""

    notes: tuple[str, ...]
    """One line each for what is there and is not read."""

    same: tuple[int, ...] = ()
    """Columns that must hold one value all through: a file has one instrument and one length of bar."""

    @property
    def quoted(self) -> bool:
        """Whether prices come from bid and ask."""
        return "bid_close" in self.numbers


def find_columns(names: Sequence[str], where: str) -> Columns:
    """Give each column its role.

    Raises:
        DataError: no time, no close, a bid without its ask, or two columns of one name.
    """
    places: dict[str, list[int]] = {}
    for position, name in enumerate(names):
        places.setdefault(_plain(name), []).append(position)
    found = {role: place for role in ALIASES if (place := _place(role, places, names, where)) is not None}
    time = _time_columns(places)
    if time is not None and "close" not in found and {"bid", "ask"} <= places.keys():
        raise DataError(
            f"these are ticks, not bars: {_listed(names)}",
            where=where,
            hint="download bars, or make bars of the ticks: of each hour the first, highest, lowest and last",
        )
    if time is None or not ({"close", "bid_close", "ask_close"} & found.keys()):
        missing = "time" if time is None else "close"
        raise DataError(
            f"no column is named {missing}; there are {_listed(names)}",
            where=where,
            hint=f"name the columns: {WANTED}",
        )
    notes: list[str] = []
    numbers = _consistent(found, where)
    same = tuple(places[alias][0] for alias in SAME if alias in places)
    if "symbol" not in places and "instrumentid" in places:
        same += (places["instrumentid"][0],)
    used = {*time, *numbers.values(), *same}
    ignored = [name for position, name in enumerate(names) if position not in used and name]
    if ignored:
        notes.append(f"columns not read: {_listed(ignored)}")
    return Columns(time=time, numbers=numbers, notes=tuple(notes), same=same)


def _listed(names: Sequence[str]) -> str:
    """Names from a file, without what a terminal would obey."""
    return ", ".join(shown(name)[1:-1] for name in names)


def _plain(name: str) -> str:
    return re.sub(r"[\s_\-<>]", "", name).lower()


def _place(role: str, places: dict[str, list[int]], names: Sequence[str], where: str) -> int | None:
    for alias in ALIASES[role]:
        if alias not in places:
            continue
        if len(places[alias]) > 1:
            both = _listed([names[position] for position in places[alias]])
            raise DataError(f"two columns are named {role}: {both}", where=where, hint="rename all but one of them")
        return places[alias][0]
    return None


def _time_columns(places: dict[str, list[int]]) -> tuple[int, ...] | None:
    for alias in TIME_ALIASES:
        if alias in places:
            return (places[alias][0],)
    pair = tuple(places[alias][0] for alias in ("date", "time") if alias in places)
    if pair:
        return pair
    if any(places.get(alias) == [0] for alias in UNNAMED_FIRST):
        return (0,)
    return tuple(places[UNNAMED_PARQUET]) if UNNAMED_PARQUET in places else None


def _consistent(found: dict[str, int], where: str) -> dict[str, int]:
    """Keep either quotes or single prices, and bids only with their asks, highs only with lows."""
    quotes = {role: place for role, place in found.items() if role[:4] in ("bid_", "ask_")}
    for role in quotes:
        twin = ("ask_" if role.startswith("bid_") else "bid_") + role[4:]
        if twin not in quotes:
            raise DataError(
                f"there is a column {role} but no {twin}",
                where=where,
                hint="bid and ask come in pairs; rename the column to leave it out",
            )
    if quotes and "bid_close" not in quotes:
        raise DataError("there are bid and ask columns, but no bid_close and ask_close", where=where)
    kept = {**quotes, **({"volume": found["volume"]} if "volume" in found else {})} if quotes else found
    for high, low in (("high", "low"), ("bid_high", "bid_low"), ("ask_high", "ask_low")):
        if (high in kept) != (low in kept):
            kept = {role: place for role, place in kept.items() if role not in (high, low)}
    return kept
