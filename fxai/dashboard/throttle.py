"""How often an address may try a token: a few times at once, then slowly."""

from __future__ import annotations

import ipaddress
import math
import threading
import time
from collections.abc import Callable

BURST = 5
"""Wrong tokens that an address may send at once."""

REFILL_S = 10.0
"""Seconds until it may send one more."""

_ADDRESSES = 4096
"""Addresses that are remembered; one that was forgotten begins anew."""


class Throttle:
    """Counts tries by address: one is taken before the token is compared, and given back where it was right."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` tells seconds."""
        self._clock = clock
        self._lock = threading.Lock()
        self._full_at: dict[str, float] = {}
        """Address → when all its tries will be there again; the last asked of comes last."""

    def take(self, address: str) -> int:
        """Take a try; returns 0, or whole seconds to wait where none is left."""
        key, now = _group(address), self._clock()
        with self._lock:
            full_at = max(self._full_at.pop(key, now), now)
            wait_s = full_at - now - (BURST - 1) * REFILL_S
            self._full_at[key] = full_at if wait_s > 0 else full_at + REFILL_S
            while len(self._full_at) > _ADDRESSES:
                del self._full_at[next(iter(self._full_at))]
        return max(math.ceil(wait_s), 0)

    def give_back(self, address: str) -> None:
        """The try was a good one and does not count."""
        with self._lock:
            key = _group(address)
            if key in self._full_at:
                self._full_at[key] -= REFILL_S


def _group(address: str) -> str:
    """Who shares tries: whoever has an IPv6 address has 2^64 of them."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.IPv6Network((found, 64), strict=False))
