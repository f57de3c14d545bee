"""Names of studies, which are names of folders too."""

from __future__ import annotations

import re
from collections.abc import Sequence

from fxai.errors import InputError
from fxai.secrets import redact_url

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def name_fault(name: str) -> str | None:
    """Why this cannot name a study; None when it can."""
    if _NAME.fullmatch(name):
        return None
    shown = ascii(name if len(name) <= 40 else name[:37] + "...")
    return f"{shown} cannot name a study: 1 to 64 of A-Z a-z 0-9 . _ -, the first a letter or digit"


def checked_name(name: str, where: str) -> str:
    """Return the name of a study that can be a folder's name.

    Raises:
        InputError: it cannot; `where` says which option or key it came from.
    """
    fault = name_fault(name)
    if fault:
        raise InputError(fault, where=where)
    return name


def no_such_study(name: str, known: Sequence[str], url: str) -> InputError:
    """The error of a name that no study of the database at `url` has; the nearest of those `known` comes first."""
    import difflib

    hint = f"studies in this database: {', '.join(known) or 'none'}"
    near = difflib.get_close_matches(name, known, n=1)
    return InputError(
        f"no study is called {name!r}",
        where=redact_url(url),
        hint=f"did you mean {near[0]}? ({hint})" if near else hint,
    )
