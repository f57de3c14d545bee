"""Files that hold passwords, and who else can read them."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from fxai.doctor.finding import Finding, note, ok, wrong
from fxai.doctor.place import Place
from fxai.secrets import has_password
from fxai.tracking.credentials import place_of_credentials

KEEP = "leave it out of the URL, and set PGPASSWORD or write a ~/.pgpass of mode 600"


def check(place: Place) -> list[Finding]:
    """Looks at modes and places; no secret is read into a finding."""
    found = [*_of_urls(place), *_pgpass(place, os.environ), *_of_wandb(os.environ)]
    return found or [ok("secrets", "no password where others can read it")]


def readable_by_others(path: Path) -> bool:
    """Whether group or others may read the file."""
    try:
        return bool(path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))
    except OSError:
        return False


def _of_urls(place: Place) -> Iterator[Finding]:
    """A spec that others may read is refused with its password, which is a finding of the spec."""
    if place.spec is not None and any(has_password(study.storage) for study in place.studies):
        yield note("secrets", f"{place.spec.path} holds a database password", KEEP)


def _pgpass(place: Place, env: Mapping[str, str]) -> Iterator[Finding]:
    """libpq passes over a password file that others can read, and then asks for a password in vain."""
    path = Path(env.get("PGPASSFILE") or Path.home() / ".pgpass")
    if not path.is_file() or not path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        return
    text = f"{path} is open to other users, and PostgreSQL's client ignores it for that"
    hint = f"chmod 600 {shlex.quote(str(path))}"
    used = any(url.startswith("postgresql") for url in place.urls)
    yield wrong("secrets", text, hint) if used else note("secrets", text, hint)


def _of_wandb(env: Mapping[str, str]) -> Iterator[Finding]:
    path = place_of_credentials(env)
    if isinstance(path, Path) and readable_by_others(path):
        text = f"{path} holds the key for W&B, and other users may read it"
        yield wrong("secrets", text, f"chmod 600 {shlex.quote(str(path))}")
