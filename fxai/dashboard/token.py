"""The token that opens a dashboard to others: where it comes from, and what it must be like.

It comes from the environment or a file that only its owner reads, never from the command line, which every user of the
machine can see. Only its hash is kept.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import shlex
import stat
from collections.abc import Mapping
from pathlib import Path

from fxai.errors import InputError

TOKEN_VARIABLE = "FXAI_DASHBOARD_TOKEN"

DEFAULT_FILE = "~/.fxai-dashboard-token"
"""The file that hints speak of; it is read only where `--token-file` names it."""

SHORTEST = 20
FEWEST_DIFFERENT = 8
_LONGEST = 1024


class Token:
    """A token that was found good; it can be compared, and not be printed."""

    __slots__ = ("_digest",)

    def __init__(self, text: str, where: str) -> None:
        """Keep the hash of `text`, which was found at `where`.

        Raises:
            InputError: it is short, or could not be typed into a form and a header alike.
        """
        if not all("!" <= character <= "~" for character in text):
            raise _unfit("a token is one word of letters, digits and signs", where)
        if not SHORTEST <= len(text) <= _LONGEST:
            raise _unfit(f"a token has at least {SHORTEST} characters (and at most {_LONGEST}), not {len(text)}", where)
        if len(set(text)) < FEWEST_DIFFERENT:
            raise _unfit(f"a token has at least {FEWEST_DIFFERENT} different characters, not {len(set(text))}", where)
        self._digest = _digest(text)

    def matches(self, text: str) -> bool:
        """Whether `text` is the token; takes the same time whatever it is."""
        return hmac.compare_digest(self._digest, _digest(text))

    def __repr__(self) -> str:
        return "Token(***)"


def make_command(file: str = DEFAULT_FILE) -> str:
    """What to type for a file with a good token."""
    name = file if file == DEFAULT_FILE else shlex.quote(file)
    return f"(umask 077; python3 -c 'import secrets; print(secrets.token_urlsafe(32))' > {name})"


def find_token(file: Path | None, env: Mapping[str, str]) -> Token | None:
    """The token of the file, else of the environment; None where neither is given.

    Raises:
        InputError: the file cannot be read or belongs to others too, or the token is too easy.
    """
    if file is not None:
        return _of_file(file.expanduser())
    text = env.get(TOKEN_VARIABLE, "").strip()
    return Token(text, TOKEN_VARIABLE) if text else None


def _of_file(path: Path) -> Token:
    try:
        # a pipe would wait for ever for its writer
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(handle, "rb") as file:
            _check_owner(os.fstat(file.fileno()), path)
            data = file.read(2 * _LONGEST)
    except FileNotFoundError:
        raise InputError("there is no such token file", where=str(path), hint=make_command(str(path))) from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(path)) from error
    return Token(data.decode("latin-1").strip(), str(path))


def _check_owner(status: os.stat_result, path: Path) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise InputError("is no plain file, and holds no token", where=str(path), hint=make_command())
    if os.name != "posix":
        return
    name = shlex.quote(str(path))
    if status.st_uid != os.geteuid():
        hint = f'sudo chown "$(id -un)" {name} && chmod 600 {name}'
        raise InputError("this token file belongs to another user", where=str(path), hint=hint)
    if stat.S_IMODE(status.st_mode) & 0o077:
        hint = f"chmod 600 {name}, and make a new token if others may have seen this one"
        raise InputError("others can read this token file", where=str(path), hint=hint)


def _unfit(what: str, where: str) -> InputError:
    return InputError(what, where=where, hint=f"make a good one: {make_command()}")


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
