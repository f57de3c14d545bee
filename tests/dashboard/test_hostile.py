"""F70: a dashboard that others can reach, as the command line starts it, and the requests that must come to nothing.

It listens at all addresses; requests come to 127.0.0.1 and to this machine's address in its network, if it has one.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import optuna
import pytest
from serving import free_port

from fxai.study.database.storage import open_storage

ROOT = Path(__file__).parents[2]
TOKEN = "Zk3-test_token-of-tests-only-9xQ2"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: str


@dataclass
class Running:
    """The command, running."""

    process: subprocess.Popen[str]
    port: int
    database: Path
    said: list[str]

    def ask(self, method: str, path: str, body: str | None = None, to: str = "127.0.0.1", **headers: str) -> Answer:
        """Send a request; keys of headers have _ for -."""
        connection = http.client.HTTPConnection(to, self.port, timeout=60)
        told = {"Host": f"localhost:{self.port}", **{key.replace("_", "-"): text for key, text in headers.items()}}
        connection.request(method, path, body=body, headers=told)
        answer = connection.getresponse()
        with closing(connection):
            return Answer(answer.status, answer.headers, answer.read().decode(errors="replace"))

    def log_in(self, token: str = TOKEN, **fields: str) -> Answer:
        """Send the form as a browser does."""
        form = urlencode({"token": token, **fields})
        kind = "application/x-www-form-urlencoded"
        return self.ask("POST", "/login", form, Origin=f"http://localhost:{self.port}", Content_Type=kind)

    def studies(self) -> list[str]:
        """Names of the studies in the database."""
        with closing(sqlite3.connect(self.database)) as connection:
            return [name for (name,) in connection.execute("SELECT study_name FROM studies ORDER BY study_id")]


@contextmanager
def running(folder: Path, *options: str) -> Iterator[Running]:
    """`dashboard --host 0.0.0.0` over a database with the study `known`, of which a trial is running."""
    database = folder / "study.db"
    storage = open_storage(f"sqlite:///{database}", create=True)
    optuna.create_study(storage=storage, study_name="known").ask()
    (folder / "token").write_text(f"{TOKEN}\n")
    (folder / "token").chmod(0o600)
    port = free_port()
    words = f"dashboard --storage sqlite:///{database} --results-dir {folder} --host 0.0.0.0 --port {port}".split()
    command = [sys.executable, str(ROOT / "optuna_optimization.py"), *words, "--token-file", str(folder / "token")]
    process = subprocess.Popen([*command, *options], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert process.stderr is not None
    try:
        said = [process.stderr.readline(), process.stderr.readline()]
        yield Running(process, port, database, said)
        process.send_signal(signal.SIGINT)
        said.append(process.communicate(timeout=60)[1])
        assert TOKEN not in "".join(said)
        assert "Traceback" not in "".join(said)
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One that only reads."""
    with running(tmp_path_factory.mktemp("reads")) as server:
        yield server


def own_address() -> str:
    """This machine's address in its network; a datagram socket sends nothing when it connects."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("no network")
        return str(probe.getsockname()[0])


def test_a_foreign_host_is_refused_with_the_right_token_too(served):
    for host in ("evil.example", f"evil.example:{served.port}", "localhost:1", "localhost"):
        for method in ("GET", "DELETE"):
            assert served.ask(method, "/api/studies/1", Host=host, **BEARER).status == 403
    assert served.studies() == ["known"]


def test_a_foreign_origin_is_refused_with_the_right_token_too(served):
    for told in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec_Fetch_Site": "cross-site"}):
        answer = served.ask("DELETE", "/api/studies/1", **told, **BEARER)
        assert answer.status == 403
        assert json.loads(answer.body)["reason"] == "Only the dashboard's own pages may change a study."
        assert served.ask("POST", "/login", urlencode({"token": TOKEN}), **told).status == 403


@pytest.mark.parametrize("authorization", [None, "Bearer", "Bearer ", f"Basic {TOKEN}", TOKEN])
@pytest.mark.parametrize("path", ["/", "/dashboard", "/api/studies", "/static/bundle.js", "/csv/1", "/nothing"])
def test_without_a_token_nothing_is_told(served, path, authorization):
    told = {} if authorization is None else {"Authorization": authorization}
    answer = served.ask("GET", path, **told)
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, 'Bearer realm="FxAI dashboard"')
    assert "Log in at /login" in answer.body
    assert "known" not in answer.body


def test_neither_a_wrong_token_nor_one_in_an_address_opens_and_guessing_is_slowed(tmp_path):
    with running(tmp_path) as server:
        assert server.ask("GET", f"/api/studies?token={TOKEN}").status == 401
        guesses = [server.ask("GET", "/api/studies", Authorization="Bearer wrong") for _ in range(3)]
        guesses += [server.log_in("wrong") for _ in range(2)]
        assert [guess.status for guess in guesses] == [401] * 5
        # the right one would be a guess too, and a session that is open is none
        late = [server.ask("GET", "/api/studies", **BEARER), server.log_in()]
        assert [answer.status for answer in late] == [429, 429]
        assert 1 <= int(late[0].headers["Retry-After"]) <= 10
    assert "wrong tokens from 127.0.0.1" in server.said[-1]


def test_every_route_that_writes_is_closed_where_others_only_read(served):
    def contents() -> list[str]:
        with closing(sqlite3.connect(served.database)) as connection:
            return list(connection.iterdump())

    before = contents()
    for method, path in routes():
        if method == "GET":
            assert served.ask(method, path, **BEARER).status in (200, 302, 400, 404), path
            continue
        body = json.dumps(
            {"study_name": "new", "directions": ["minimize"], "body": "x", "version": 1, "file": "data:,"}
        )
        answer = served.ask(method, path, body, Content_Type="application/json", **BEARER)
        assert answer.status == 403, path
        assert "read-only" in answer.body
    assert contents() == before
    assert not (served.database.parent / "_dashboard_uploads").exists()


def routes() -> set[tuple[str, str]]:
    """Every route of the installed optuna-dashboard, with numbers of what exists."""
    from optuna_dashboard._app import create_app

    app = create_app(optuna.storages.InMemoryStorage())
    names: dict[str, Any] = {"plot_type": "slice", "artifact_id": "0a-1b", "filename": "bundle.js", "history_id": "0a"}
    found = set()
    for route in app.routes:
        parts = [part for part in route.rule.split("/") if part != "dashboard<:re:(" and part != ".*)?>"]
        parts = [names.get(part[1:].partition(":")[0].rstrip(">"), "1") if "<" in part else part for part in parts]
        found.add((route.method, "/".join(parts)))
    assert {"GET", "POST", "PUT", "DELETE"} <= {method for method, _ in found}
    return found


def test_others_write_where_they_are_allowed_to(tmp_path):
    with running(tmp_path, "--allow-writes") as server:
        assert "read-only" not in server.said[0]
        cookie = server.log_in().headers["Set-Cookie"].partition(";")[0]
        told = {"Content_Type": "application/json", "Origin": f"http://localhost:{server.port}", "Cookie": cookie}
        body = json.dumps({"study_name": "new", "directions": ["minimize"]})
        assert server.ask("POST", "/api/studies", body, **{**told, "Origin": "http://evil.example"}).status == 403
        assert server.ask("POST", "/api/studies", body, **{**told, "Cookie": cookie[:-1]}).status == 401
        assert server.ask("POST", "/api/studies", body, **told).status == 201
        assert server.ask("DELETE", "/api/studies/1", "{}", Content_Type="application/json", **BEARER).status == 204
        assert server.studies() == ["new"]


def test_a_login_gives_a_cookie_that_says_nothing(served):
    answer = served.log_in(next="/dashboard/studies/1")
    assert (answer.status, answer.headers["Location"]) == (303, "/dashboard/studies/1")
    cookie, *flags = answer.headers["Set-Cookie"].split("; ")
    assert sorted(flags) == ["HttpOnly", "Path=/", "SameSite=Strict"]
    name, _, value = cookie.partition("=")
    assert (name, len(value)) == (f"fxai_dashboard_{served.port}", 43)  # 32 bytes as base64
    assert value != served.log_in().headers["Set-Cookie"].partition(";")[0].partition("=")[2] != TOKEN
    answer = served.ask("GET", "/api/studies", Cookie=f"other=1; {cookie}")
    assert "known" in answer.body
    assert answer.headers["Cache-Control"] == "private, no-cache"
    gone = served.ask("POST", "/logout", Cookie=cookie, Origin=f"http://localhost:{served.port}")
    assert (gone.status, gone.headers["Location"]) == (303, "/login")
    assert served.ask("GET", "/api/studies", Cookie=cookie).status == 401


def test_behind_a_proxy_with_tls_the_cookie_is_for_tls_only(tmp_path):
    with running(tmp_path, "--allow-host", "dash.example.com:443") as server:
        told = {"Host": "dash.example.com", "Origin": "https://dash.example.com"}
        answer = server.ask("POST", "/login", urlencode({"token": TOKEN}), **told)
        assert answer.headers["Set-Cookie"].endswith("; Secure")
        plain = {**told, "Origin": "http://dash.example.com"}
        assert server.ask("POST", "/login", urlencode({"token": TOKEN}), **plain).status == 403


@pytest.mark.parametrize(
    "target", ["//evil.example", "/\\evil.example", "http://evil.example", "/a\\b", "/\nx", "", "x"]
)
def test_a_login_leads_nowhere_else(served, target):
    assert served.log_in(next=target).headers["Location"] == "/dashboard"


def test_a_page_that_was_asked_for_becomes_the_form_and_the_target(served):
    answer = served.ask("GET", "/dashboard/studies/1?q=%22%3E%3Cscript%3E", Accept="text/html")
    assert answer.status == 401
    assert 'value="/dashboard/studies/1?q=%22%3E%3Cscript%3E"' in answer.body
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert (answer.headers["Cache-Control"], answer.headers["X-Frame-Options"]) == ("no-store", "SAMEORIGIN")
    hostile = served.ask("GET", '/dashboard/"><script>', Accept="text/html")
    assert "<script" not in hostile.body


def test_an_odd_form_is_no_login_and_no_fault(tmp_path):
    forms = ["", "token", "a=1&b=2&c=3&d=4&e=5", "token=%ff%00", "token=" + "x" * 100_000]
    with running(tmp_path) as server:
        for form in forms:  # as many as an address may try at once
            answer = server.ask("POST", "/login", form, Origin=f"http://localhost:{server.port}")
            assert (answer.status, "This is not the token." in answer.body) == (401, True)


def test_this_machines_address_is_one_of_its_names(served):
    address = own_address()
    here = f"{address}:{served.port}"
    assert served.ask("GET", "/api/studies", to=address, Host=here).status == 401
    assert served.ask("GET", "/api/studies", to=address, Host=here, **BEARER).status == 200
    assert "not encrypted" in served.ask("GET", "/login", to=address, Host=here, Accept="text/html").body
    # the address belongs to the connection: through another one it is foreign
    assert served.ask("GET", "/api/studies", Host=here, **BEARER).status == (200 if address == "127.0.0.1" else 403)


def test_the_start_says_that_http_is_not_encrypted_and_the_token_is_in_no_list_of_processes(served):
    assert f":{served.port}, asks for its token, read-only (Ctrl-C ends it)" in served.said[0]
    assert served.said[1].startswith("warning: HTTP is not encrypted: ")
    assert TOKEN not in "".join(served.said)
    shown = arguments_of(served.process.pid)
    assert "--token-file" in shown
    assert TOKEN not in shown


def arguments_of(pid: int) -> str:
    """What every user of the machine sees of a process; not every Linux has ps, and other systems have no /proc."""
    if (listed := Path(f"/proc/{pid}/cmdline")).exists():
        return listed.read_text()
    return subprocess.run(["ps", "-ww", "-o", "args=", "-p", str(pid)], capture_output=True, text=True).stdout


@pytest.mark.parametrize(
    ("options", "env", "told"),
    [
        ((), {}, "hint: make one and add --token-file"),
        ((), {"FXAI_DASHBOARD_TOKEN": "hunter2"}, "FXAI_DASHBOARD_TOKEN: a token has at least 20 characters"),
        (("--token-file", "missing"), {}, "missing: there is no such token file"),
        (("--token-file", "loose"), {}, "hint: chmod 600 loose"),
        (("--token", "x" * 30), {}, "has no option --token"),
    ],
    ids=["none", "weak", "missing", "loose", "on_the_command_line"],
)
def test_others_are_not_let_in_without_a_good_token(tmp_path, options, env, told):
    (tmp_path / "loose").write_text(TOKEN)
    (tmp_path / "loose").chmod(0o644)
    command = [sys.executable, str(ROOT / "optuna_optimization.py"), "dashboard", "--host", "0.0.0.0", *options]
    found = {**os.environ, **env}
    done = subprocess.run(command, cwd=tmp_path, env=found, capture_output=True, text=True, timeout=120)
    assert (done.returncode, told in done.stderr) == (2, True), done.stderr
    assert "Traceback" not in done.stderr
    assert not any(secret in done.stderr for secret in (TOKEN, "hunter2"))
