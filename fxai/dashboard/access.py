"""Who may come to a dashboard, under which names, and whether they may change a study.

On loopback it is as open as any program of one's own. Whatever lets others in, another address or a foreign name of a
proxy, needs a token, and then only reads unless told otherwise.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from fxai.dashboard.token import DEFAULT_FILE, Token, make_command
from fxai.errors import InputError

_AUTHORITY = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?")

_DEFAULT_PORTS = {80: "http", 443: "https"}
"""Ports that browsers leave out, and what they speak there."""

Place = tuple[str, int]
"""Host name or address, and port."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """`access_for` makes it."""

    address: str
    """IP address that the server listens at."""

    port: int

    places: Mapping[Place, Collection[str]]
    """What the Host header may say → the schemes that pages there may have."""

    token: Token | None = None

    writes: bool = True
    """Whether requests may change a study."""

    others: bool = False
    """Whether anybody but this machine may come."""

    name: str = "localhost"
    """How a person here calls the server."""

    @property
    def url(self) -> str:
        """The address to open in a browser on this machine."""
        return f"http://{self.name}:{self.port}"

    def schemes(self, host: str, arrived_at: str) -> Collection[str]:
        """Schemes of our own pages under this Host header; none where the name is not ours.

        Args:
            host: the header.
            arrived_at: this machine's address that the request came to. Under it no foreign page can run: names
                can be pointed here by others, addresses cannot.
        """
        place = place_of(host)
        if place is None:
            return ()
        name, port = place
        if (name, port or 80) == (_plain(arrived_at), self.port):
            return ("http",)
        # without a port it is 80, or 443 where a proxy speaks TLS
        found = [self.places.get((name, at), ()) for at in ((80, 443) if port is None else (port,))]
        return [scheme for schemes in found for scheme in schemes]

    def refusal(self, host: str) -> str:
        """Why a request with this Host header is refused, and what to do."""
        place = place_of(host)
        if place is None:
            return "This request names no host."
        name, port = place[0], place[1] or 80
        shown = f"[{name}]" if ":" in name else name
        if any(name == known for known, _ in self.places):
            return (
                f"This dashboard is at port {self.port} and was asked for at port {port}. A tunnel needs the same port "
                f"at both ends (ssh -L {self.port}:localhost:{self.port} HOST), or start the dashboard with "
                f"--allow-host {shown}:{port}."
            )
        at = "" if port == self.port else f":{port}"
        return (
            f"This dashboard does not answer to the name {shown}. Open {self.url} on its machine, or, if the name is "
            f"yours, start it with --allow-host {shown}{at}."
        )


def access_for(
    host: str,
    port: int,
    *,
    token: Token | None = None,
    allow_hosts: Collection[str] = (),
    allow_writes: bool = False,
    read_only: bool = False,
) -> Access:
    """What the options of a dashboard mean.

    Args:
        host: an address or name of this machine to listen at; 0.0.0.0 or :: for all.
        port: to listen at.
        token: asked for at the login.
        allow_hosts: more names under which it is reached, with a port where that is another.
        allow_writes: others may change studies too.
        read_only: nobody may.

    Raises:
        InputError: a host is none, or others could come without a token.
    """
    address = _address(host)
    foreign = {_allowed(text, port): text for text in allow_hosts}
    far = next((text for (name, _), text in foreign.items() if not _is_local(name)), None)
    others = not _is_local(address) or far is not None
    if others and token is None:
        raise _no_token(far if _is_local(address) else host, port)
    places: dict[Place, tuple[str, ...]] = {(name, port): ("http",) for name in _own_names(host, address)}
    for name, at in foreign:
        places[name, at] = (_DEFAULT_PORTS[at],) if at in _DEFAULT_PORTS else ("http", "https")
    return Access(
        address=address,
        port=port,
        places=places,
        token=token,
        writes=not read_only and (allow_writes or not others),
        others=others,
        name=_called(host, address),
    )


def place_of(text: str) -> tuple[str, int | None] | None:
    """Name and port, as in a Host header; None where it is nothing of the kind."""
    match = _AUTHORITY.fullmatch(text)
    if match is None or (match[2] is not None and not 1 <= int(match[2]) <= 65535):
        return None
    return _plain(match[1]), None if match[2] is None else int(match[2])


def _plain(name: str) -> str:
    """One spelling for each name and address."""
    bare = name.strip("[]").partition("%")[0].lower().rstrip(".")
    try:
        found = ipaddress.ip_address(bare)
    except ValueError:
        return bare
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return str(mapped or found)


def _is_local(name: str) -> bool:
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _address(host: str) -> str:
    """The IP address to listen at."""
    if host == "localhost":
        return "127.0.0.1"
    try:
        return str(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        pass
    try:
        return str(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0])
    except (OSError, UnicodeError):
        hint = "write an address of this machine, or 0.0.0.0 for all of them"
        raise InputError(f"{host!r} is no address", where="--host", hint=hint) from None


def _own_names(host: str, address: str) -> set[str]:
    names = {"localhost", _plain(host), _plain(address)}
    if not _is_local(address):
        whole = _plain(socket.gethostname())
        short = whole.partition(".")[0]
        names |= {whole, short, f"{short}.local"}
    return {name for name in names if not _is_any(name)}


def _called(host: str, address: str) -> str:
    name = _plain(host)
    if _is_any(address):
        name = _plain(socket.gethostname())
    return f"[{name}]" if ":" in name else name


def _is_any(name: str) -> bool:
    """Whether it stands for all addresses, which is none to go to."""
    return name in ("0.0.0.0", "::")


def _allowed(text: str, port: int) -> Place:
    place = place_of(text)
    if place is None:
        hint = "write NAME or NAME:PORT, as in --allow-host dashboard.example.com:443"
        raise InputError(f"{text!r} is no name of a host", where="--allow-host", hint=hint)
    return place[0], place[1] or port


def _no_token(host: str | None, port: int) -> InputError:
    return InputError(
        f"others can reach a dashboard at {host}, and would need no token",
        where="dashboard",
        hint=f"make one and add --token-file {DEFAULT_FILE}\n"
        f"  {make_command()}\n"
        f"or keep 127.0.0.1 and come through a tunnel: ssh -L {port}:localhost:{port} {socket.gethostname()}",
    )
