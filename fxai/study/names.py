"""Names of studies, which are names of folders too."""

from __future__ import annotations

import re

from fxai.errors import InputError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def checked_name(name: str, where: str) -> str:
    """Return the name of a study that can be a folder's name.

    Raises:
        InputError: it cannot; `where` says which option or key it came from.
    """
    if not _NAME.fullmatch(name):
        shown = ascii(name if len(name) <= 40 else name[:37] + "...")
        raise InputError(
            f"{shown} cannot name a study: 1 to 64 of A-Z a-z 0-9 . _ -, the first a letter or digit", where=where
        )
    return name
