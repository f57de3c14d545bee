"""A PostgreSQL server of the tests' own: on a free loopback port, in a folder of its own, gone with the test process.

`postgres` may connect without a password, every other user needs one.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import quote

ACCESS = """\
host all postgres 127.0.0.1/32 trust
host all all 127.0.0.1/32 scram-sha-256
"""

SETTINGS = """\
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
fsync = off
lc_messages = 'C'
"""

WATCH = 'read _; "$@" >/dev/null 2>&1; rm -rf "$0"'
"""Stops the server when the pipe ends, which it does however the test process ends."""


def why_not() -> str | None:
    """Why there can be no server here; None where there can."""
    if importlib.util.find_spec("psycopg") is None:
        return "psycopg is not installed"
    if programs() is None:
        return "PostgreSQL is not installed: no initdb in PATH or /usr/lib/postgresql/*/bin"
    if os.geteuid() == 0 and shutil.which("runuser") is None:
        return "PostgreSQL does not run as root, and there is no runuser"
    return None


def programs() -> Path | None:
    """The folder of initdb and pg_ctl."""
    found = shutil.which("initdb")
    newest = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    paths = [Path(found)] if found else newest[-1:]
    return paths[0].resolve().parent if paths else None


class Server:
    """A running server; `stop` and `start` play an outage."""

    def __init__(self) -> None:
        """Make and start it."""
        bin_folder = programs()
        assert bin_folder is not None, why_not()
        self._bin = bin_folder
        self._folder = Path(tempfile.mkdtemp(prefix="fxai-postgresql-"))
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            shutil.chown(self._folder, "postgres")
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self._run("initdb", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        data = self._folder / "data"
        (data / "pg_hba.conf").write_text(ACCESS)
        with (data / "postgresql.conf").open("a") as settings:
            settings.write(f"port = {self.port}\n{SETTINGS}")
        command = self._command("pg_ctl", "-m", "immediate", "stop")
        self._watch = subprocess.Popen(
            ["sh", "-c", WATCH, str(self._folder), *command], stdin=subprocess.PIPE, start_new_session=True, cwd="/"
        )
        self.start()

    def start(self) -> None:
        """Start it; nothing happens where it runs."""
        if not self.runs():
            self._run("pg_ctl", "-w", "-l", str(self._folder / "log"), "start")

    def stop(self) -> None:
        """Stop it now: whoever is connected is thrown out in the middle of what they do."""
        if self.runs():
            self._run("pg_ctl", "-w", "-m", "fast", "stop")

    def restart(self) -> None:
        """An outage of no length."""
        self._run("pg_ctl", "-w", "-m", "fast", "-l", str(self._folder / "log"), "restart")

    def runs(self) -> bool:
        """Whether it is there."""
        return (self._folder / "data" / "postmaster.pid").exists()

    def close(self) -> None:
        """The end of the server and of its folder."""
        assert self._watch.stdin is not None
        self._watch.stdin.close()
        self._watch.wait()

    def url(self, database: str = "postgres", user: str = "postgres", password: str | None = None) -> str:
        """The address of a database."""
        secret = "" if password is None else f":{quote(password, safe='')}"
        return f"postgresql://{user}{secret}@127.0.0.1:{self.port}/{database}"

    def execute(self, sql: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """What a statement answers, outside of a transaction."""
        import psycopg

        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(sql)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    def new_database(self, owner: str = "postgres") -> str:
        """The name of an empty database."""
        name = f"fxai_test_{uuid.uuid4().hex}"
        self.execute(f"CREATE DATABASE {name} OWNER {owner}")
        return name

    def new_user(self, password: str) -> str:
        """The name of a user who needs this password."""
        name = f"fxai_{uuid.uuid4().hex[:8]}"
        literal = password.replace("'", "''")
        self.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{literal}'")
        return name

    def drop(self, database: str) -> None:
        """Remove a database, whoever is connected."""
        self.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")

    def _run(self, program: str, *options: str) -> None:
        log = self._folder.with_suffix(".out")  # a server that it starts would keep a pipe open
        with log.open("w") as out:
            done = subprocess.run(self._command(program, *options), stdout=out, stderr=out, cwd="/", check=False)
        said = log.read_text()
        log.unlink()
        assert done.returncode == 0, f"{program} {' '.join(options)}: {said}"

    def _command(self, program: str, *options: str) -> list[str]:
        as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        return [*as_user, str(self._bin / program), "-D", str(self._folder / "data"), *options]
