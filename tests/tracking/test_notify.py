"""Messages when a study ends, sent to a real HTTP endpoint; addresses are never shown."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from endpoint import Endpoint

from fxai.errors import InputError
from fxai.tracking import notify
from fxai.tracking.notify import FILE_VARIABLE, URLS_VARIABLE, Notifier, message, notifier


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    endpoint = Endpoint()
    yield endpoint
    endpoint.ended.set()
    endpoint.shutdown()
    endpoint.server_close()


@pytest.fixture(autouse=True)
def no_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(URLS_VARIABLE, raising=False)
    monkeypatch.delenv(FILE_VARIABLE, raising=False)


def test_a_message_arrives(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("apprise")
    monkeypatch.setenv(URLS_VARIABLE, f"{endpoint.url('a')}, {endpoint.url('b')}")
    text = message("fx_ai_quick", "finished", elapsed_s=192.0, trials="50 of 50", sentence="best mean_reward 0.4")
    assert notifier().send(*text) == []
    assert len(endpoint.messages) == 2
    assert endpoint.messages[0]["title"] == "FxAI: fx_ai_quick finished"
    lines = endpoint.messages[0]["message"].splitlines()
    assert lines[:2] == ["trials done: 50 of 50", "best mean_reward 0.4"]
    assert lines[2].startswith("after 3m 12s on ")


def test_failures_are_one_warning_each_without_the_address(
    endpoint: Endpoint, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("apprise")
    sender = Notifier((endpoint.url("refuse"), endpoint.url(), endpoint.url("hang")))
    warnings = sender.send("title", "body", within_s=3.0)
    assert warnings == ["the notification by json was refused", "the notification by json took too long"]
    assert len(endpoint.messages) == 1
    out, err = capfd.readouterr()
    assert "hunter2" not in out + err


def test_addresses_come_from_a_file_that_nobody_else_can_read(
    endpoint: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("apprise")
    path = tmp_path / "urls"
    path.write_text(f"# the desk\n{endpoint.url()}\n", encoding="utf-8")
    monkeypatch.setenv(FILE_VARIABLE, str(path))
    path.chmod(0o640)
    with pytest.raises(InputError, match="others can read this file") as refused:
        notifier()
    assert refused.value.hint == f"chmod 600 {path}"
    path.chmod(0o600)
    assert notifier().send("t", "b") == []
    assert len(endpoint.messages) == 1


def test_no_address_is_refused_before_anything_runs() -> None:
    with pytest.raises(InputError, match="no address") as refused:
        notifier()
    assert URLS_VARIABLE in str(refused.value.hint)


@pytest.mark.parametrize("url", ["hunter2", "nosuch://hunter2"], ids=["no scheme", "unknown scheme"])
def test_an_address_of_no_known_form_is_refused_without_showing_it(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("apprise")
    monkeypatch.setenv(URLS_VARIABLE, f"json://localhost {url}")
    with pytest.raises(InputError, match="address 2 of 2") as refused:
        notifier()
    assert "hunter2" not in str(refused.value)


def test_without_the_library_the_error_says_how_to_install_it() -> None:
    code = (
        "import sys; sys.modules['apprise'] = None\n"
        "import importlib.util as util; util.find_spec = lambda name: None\n"
        "from fxai.tracking.notify import Notifier\n"
        "try:\n    Notifier(('json://localhost',))\n"
        "except Exception as error:\n    print(type(error).__name__, error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("InputError notify_on_complete needs the library Apprise")
    assert "pip install -c constraints.txt -e '.[notify]'" in done.stdout


def test_commas_within_an_address_do_not_split_it() -> None:
    assert notify._split("mailto://a:b@c?to=x@y,z@w, json://h\nslack://t") == (
        "mailto://a:b@c?to=x@y,z@w",
        "json://h",
        "slack://t",
    )


def test_a_failed_study_says_why() -> None:
    title, body = message("s", "failed", elapsed_s=1.0, error="the disk is full\x1b[2J")
    assert title == "FxAI: s failed"
    assert body.splitlines()[0] == "error: the disk is full\\x1b[2J"
