"""What every test may rely on."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import postgresql
import pytest


def pytest_configure() -> None:
    """Tests and their children keep nothing in the user's cache, and hear a Ctrl-C.

    A shell that starts a command in the background makes it, and its children, ignore that.
    """
    os.environ["FXAI_CACHE"] = "off"
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def postgresql_process() -> Iterator[postgresql.Server]:
    """One server for all tests of this process, started when the first one asks for it."""
    reason = postgresql.why_not()
    if reason is not None:
        pytest.skip(reason)
    server = postgresql.Server()
    yield server
    server.close()


@pytest.fixture
def postgresql_server(postgresql_process: postgresql.Server) -> Iterator[postgresql.Server]:
    """The server, running; a test may stop it."""
    postgresql_process.start()
    yield postgresql_process
    postgresql_process.start()


@pytest.fixture
def postgresql_url(postgresql_server: postgresql.Server) -> Iterator[str]:
    """An empty database on the server."""
    name = postgresql_server.new_database()
    yield postgresql_server.url(name)
    postgresql_server.start()
    postgresql_server.drop(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'study.db'}"
    url: str = request.getfixturevalue("postgresql_url")
    return url
