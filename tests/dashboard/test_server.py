"""The guard before Optuna's dashboard: who gets in, and what happens when the port is taken."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request

import optuna
import pytest
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from serving import free_port, serving

from fxai.dashboard.access import access_for
from fxai.dashboard.guard import Guard
from fxai.dashboard.server import _never_write, dashboard_server
from fxai.dashboard.token import Token
from fxai.errors import InputError
from fxai.study.database.storage import open_storage, study_names

HERE = "127.0.0.1:8052"
LOOPBACK = access_for("127.0.0.1", 8052)


def status_of(method: str, **headers: str) -> str:
    """The status line that a request gets from a guard around an app that says 200."""
    answers: list[str] = []

    def app(_environ, start_response):
        start_response("200 OK", [])
        return [b"inside"]

    guard = Guard(app, LOOPBACK)
    environ = {"REQUEST_METHOD": method, **{f"HTTP_{key}": value for key, value in headers.items()}}
    guard(environ, lambda status, _headers: answers.append(status))
    return answers[0]


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", {"HOST": HERE}, "200"),
        ("GET", {"HOST": "LOCALHOST:8052"}, "200"),
        ("GET", {"HOST": "evil.example:8052"}, "403"),  # DNS rebinding
        ("GET", {"HOST": "127.0.0.1:9999"}, "403"),
        ("GET", {}, "403"),
        ("DELETE", {"HOST": HERE, "ORIGIN": f"http://{HERE}"}, "200"),
        ("DELETE", {"HOST": HERE}, "200"),  # curl: no web page sends a write without Origin
        ("DELETE", {"HOST": HERE, "ORIGIN": "http://evil.example"}, "403"),
        ("DELETE", {"HOST": HERE, "ORIGIN": "null"}, "403"),
        ("POST", {"HOST": HERE, "ORIGIN": "http://localhost:3000"}, "403"),
        ("POST", {"HOST": HERE, "SEC_FETCH_SITE": "cross-site"}, "403"),
        ("PUT", {"HOST": HERE, "ORIGIN": f"http://{HERE}", "SEC_FETCH_SITE": "same-origin"}, "200"),
    ],
)
def test_only_our_own_pages_may_write(method, headers, status):
    assert status_of(method, **headers).split()[0] == status


def test_an_uploaded_page_has_no_rights_and_nobody_frames_the_dashboard():
    told: dict[str, dict[str, str]] = {}

    def app(_environ, start_response):
        start_response("200 OK", [("Content-Type", "text/html")])
        return [b"<script>fetch('/api/studies/1', {method: 'DELETE'})</script>"]

    for path in ("/artifacts/1/0a-1b", "/dashboard"):
        environ = {"REQUEST_METHOD": "GET", "HTTP_HOST": HERE, "PATH_INFO": path}
        Guard(app, LOOPBACK)(environ, lambda _status, headers, path=path: told.update({path: dict(headers)}))
    assert told["/artifacts/1/0a-1b"]["Content-Security-Policy"].startswith("sandbox")
    assert "allow-same-origin" not in told["/artifacts/1/0a-1b"]["Content-Security-Policy"]
    assert "Content-Security-Policy" not in told["/dashboard"]
    assert {headers["X-Frame-Options"] for headers in told.values()} == {"SAMEORIGIN"}


def test_no_other_web_page_may_read_what_the_app_lets_all_read():
    told = []

    def app(_environ, start_response):
        start_response("200 OK", [("Access-Control-Allow-Origin", "*"), ("Content-Type", "text/csv")])
        return [b"inside"]

    Guard(app, LOOPBACK)({"REQUEST_METHOD": "GET", "HTTP_HOST": HERE}, lambda _, headers: told.extend(headers))
    assert told == [
        ("Content-Type", "text/csv"),
        ("X-Content-Type-Options", "nosniff"),
        ("X-Frame-Options", "SAMEORIGIN"),
    ]


@pytest.fixture
def url(tmp_path):
    url = f"sqlite:///{tmp_path / 'study.db'}"
    optuna.create_study(storage=open_storage(url, create=True), study_name="known")
    return url


def test_it_serves_studies_and_a_foreign_page_cannot_delete_one(url, tmp_path):
    port = free_port()
    with serving(url, access_for("127.0.0.1", port), tmp_path):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/studies", timeout=30) as answer:
            assert b'"known"' in answer.read()
        request = urllib.request.Request(f"http://127.0.0.1:{port}/api/studies/1", method="DELETE")
        request.add_header("Origin", "http://evil.example")
        with pytest.raises(urllib.error.HTTPError, match="403") as refused:
            urllib.request.urlopen(request, timeout=30)
        refused.value.close()
    assert study_names(open_storage(url, create=False)) == ["known"]


def test_a_taken_port_is_named_with_a_free_one(url, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"port {port} is in use") as caught:
            dashboard_server(url, access_for("127.0.0.1", port), tmp_path)
    assert int(caught.value.hint.rpartition(" ")[2]) > port


def test_an_address_of_another_machine_is_named(url, tmp_path):
    # 192.0.2.0/24 and 2001:db8::/32 are for documentation: no machine has them
    for address in ("192.0.2.77", "2001:db8::77"):
        access = access_for(address, free_port(), token=Token("correct-horse-battery", "test"))
        with pytest.raises(InputError, match=f"this machine has no address {address}"):
            dashboard_server(url, access, tmp_path)


def test_a_missing_database_is_refused_and_not_created(tmp_path):
    with pytest.raises(InputError, match="there is no such study database"):
        dashboard_server(f"sqlite:///{tmp_path / 'typo.db'}", LOOPBACK, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_server_at_all_addresses_of_ipv6_answers_at_those_of_ipv4_too(url, tmp_path):
    port = free_port()
    try:
        socket.create_server(("::1", port), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6")
    token = "correct-horse-battery"
    with serving(url, access_for("::", port, token=Token(token, "test")), tmp_path):
        for name in ("127.0.0.1", "[::1]", "localhost"):
            request = urllib.request.Request(f"http://{name}:{port}/api/studies")
            request.add_header("Authorization", f"Bearer {token}")
            with urllib.request.urlopen(request, timeout=30) as answer:
                assert b'"known"' in answer.read()


def test_the_database_of_a_read_only_dashboard_refuses_by_itself(url):
    refuses_to_write(open_storage(url, create=False, readonly=True), "attempt to write a readonly database")


def test_postgresql_refuses_too(postgresql_url):
    storage = open_storage(postgresql_url, create=True)
    optuna.create_study(storage=storage, study_name="known")
    refuses_to_write(storage, "in a read-only transaction")


def refuses_to_write(storage: RDBStorage, words: str) -> None:
    _never_write(storage)
    assert study_names(storage) == ["known"]
    for _ in range(2):  # the second time by a connection that went back to the pool
        with pytest.raises(StorageInternalError) as caught:
            storage.set_study_user_attr(1, "key", "value")
        assert words in str(caught.value.__cause__)
    storage.remove_session()
    storage.engine.dispose()


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /\r\n\r\n",
        b"POST /login HTTP/1.1\r\nContent-Length: 9\r\n",
    ],
    ids=["tls", "http_0.9", "cut_short"],
)
def test_what_is_no_request_is_no_fault(url, tmp_path, capfd, data):
    port = free_port()
    with serving(url, access_for("127.0.0.1", port), tmp_path):
        with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(lambda: client.recv(4096), b""))
        assert b"known" not in answer
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/studies", timeout=30) as after:
            assert b'"known"' in after.read()
    assert capfd.readouterr().err == ""
