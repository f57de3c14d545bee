"""The databases and their studies, each read once."""

from __future__ import annotations

from collections.abc import Iterator

from fxai.doctor import database, trials
from fxai.doctor.finding import Finding
from fxai.doctor.place import Place
from fxai.doctor.snapshot import Snapshot, take


def check(place: Place) -> Iterator[Finding]:
    """The databases first, then the studies of those that can be read."""
    found = {url: take(url) for url in place.urls}
    yield from database.check(place, found)
    yield from trials.check(place, [one for one in found.values() if isinstance(one, Snapshot)])
