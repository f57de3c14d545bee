"""What an agent was trained, chosen and sealed on, as its weights keep it: times of bars and a hash, no prices.

A file of bars grows or is replaced, and its cuts move with it. So bars are placed by when the agent's own parts lay,
not by where its config would cut the file today.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from fxai.config.base import Settings
from fxai.market.data import Market

PLACES = ("before", "train", "validation", "test", "after")
"""Where a bar lies: in the time of a part, before the first of them, or after the last."""

_Time = Annotated[int, Field(ge=-(2**62), le=2**62)]
_Part = Literal["train", "validation", "test"]


class TrainedOn(Settings):
    """The bars behind weights; times are UTC nanoseconds."""

    data_hash: str
    """Of all bars and the data settings, as `Market.data_hash`."""

    timeframe_s: Annotated[float, Field(gt=0)]
    """Usual seconds from bar to bar."""

    spans: Annotated[dict[str, dict[_Part, tuple[_Time, _Time]]], Field(min_length=1)]
    """Instrument → part → its first and last bar; a part without bars is left out."""

    @model_validator(mode="after")
    def _in_order(self) -> TrainedOn:
        for parts in self.spans.values():
            times = [time for part in ("train", "validation", "test") for time in parts.get(part, ())]
            if "train" not in parts or times != sorted(times):
                raise ValueError("the parts are no train, validation and test in this order")
        return self

    @property
    def instruments(self) -> tuple[str, ...]:
        """In the order of the config."""
        return tuple(self.spans)

    def sealed(self, instrument: str | None = None) -> tuple[int, int] | None:
        """First and last bar of the sealed test, of an instrument or of any; None where it has no bars."""
        tests = [parts["test"] for parts in self._of(instrument) if "test" in parts]
        return (min(first for first, _ in tests), max(last for _, last in tests)) if tests else None

    def last_ns(self, instrument: str | None = None) -> int:
        """The last bar of all parts, of an instrument or of any."""
        return max(last for parts in self._of(instrument) for _, last in parts.values())

    def count(self, time_N: NDArray[np.int64], instrument: str | None = None) -> dict[str, int]:
        """How many bars lie in each of `PLACES`.

        What was purged between two parts counts with the earlier one.

        Args:
            time_N: ascending times.
            instrument: whose parts count. None: those of all, each part from its first bar of any instrument on.
        """
        spans, last_ns = self._of(instrument), self.last_ns(instrument)
        cuts = [min((p[part][0] for p in spans if part in p), default=last_ns + 1) for part in ("validation", "test")]
        cuts = [min(p["train"][0] for p in spans), min(cuts), cuts[1], last_ns + 1]
        borders = np.concatenate([[0], np.searchsorted(time_N, cuts), [len(time_N)]])
        return dict(zip(PLACES, np.diff(borders).tolist(), strict=True))

    def _of(self, instrument: str | None) -> list[dict[_Part, tuple[int, int]]]:
        return list(self.spans.values()) if instrument is None else [self.spans[instrument]]


def trained_on(market: Market) -> TrainedOn:
    """What an agent is trained on whose training walks this market."""
    return TrainedOn.model_validate(
        {"data_hash": market.data_hash, "timeframe_s": market.timeframe_s, "spans": market.spans}
    )
