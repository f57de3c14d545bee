"""Where a token comes from, which are refused, how often one may be tried, and how long a login lasts."""

from __future__ import annotations

import os
import shlex
import stat
import subprocess

import pytest

from fxai.dashboard.login import SESSION_S, Sessions
from fxai.dashboard.throttle import BURST, REFILL_S, Throttle
from fxai.dashboard.token import TOKEN_VARIABLE, Token, find_token, make_command
from fxai.errors import InputError

GOOD = "correct-horse-battery"


def written(path, text: str = GOOD, mode: int = 0o600):
    path.write_text(text)
    path.chmod(mode)
    return path


def test_the_file_comes_before_the_environment_and_neither_is_no_token(tmp_path):
    env = {TOKEN_VARIABLE: f" {GOOD}-of-the-environment\n"}
    assert find_token(written(tmp_path / "token", f"{GOOD}\n"), env).matches(GOOD)
    assert find_token(None, env).matches(f"{GOOD}-of-the-environment")
    assert find_token(None, {}) is find_token(None, {TOKEN_VARIABLE: ""}) is None


def test_only_the_token_matches_and_it_is_not_shown():
    token = Token(GOOD, "test")
    assert token.matches(GOOD)
    assert not any(map(token.matches, ["", GOOD[:-1], GOOD + "x", GOOD.upper(), "ü", "\udc80"]))
    assert GOOD not in repr(token) + str(token)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o601])
def test_a_file_that_others_can_read_is_refused(tmp_path, mode):
    path = written(tmp_path / "my token", mode=mode)
    with pytest.raises(InputError, match="others can read this token file") as caught:
        find_token(path, {})
    assert caught.value.hint.startswith(f"chmod 600 {shlex.quote(str(path))}")
    path.chmod(0o400)
    assert find_token(path, {}) is not None


def test_a_file_of_another_user_is_refused(tmp_path, monkeypatch):
    path = written(tmp_path / "token")
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    with pytest.raises(InputError, match="belongs to another user") as caught:
        find_token(path, {})
    assert f"chmod 600 {path}" in caught.value.hint


def test_what_is_no_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(InputError, match=r"no plain file|Is a directory"):
            find_token(path, {})


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "at least 20 characters .* not 0"),
        ("short-But.varied19ch", "passes"),
        ("short-But.varied19c", "at least 20 characters .* not 19"),
        ("aaaaaaaaaaaaaaaaaaaaaaaabcdefg", "8 different characters, not 7"),
        ("correct horse battery staple", "one word"),
        ("correct-hörse-battery-staple", "one word"),
        ("x" * 5000, "at most 1024"),
    ],
)
def test_a_weak_token_is_refused_and_not_repeated(tmp_path, text, what):
    path = written(tmp_path / "token", text)
    if what == "passes":
        assert find_token(path, {}).matches(text)
        return
    with pytest.raises(InputError, match=what) as caught:
        find_token(path, {})
    assert make_command() in caught.value.hint
    assert not text or text not in str(caught.value)


def test_the_command_in_the_hint_makes_a_good_file(tmp_path):
    path = tmp_path / "my token"
    with pytest.raises(InputError, match="no such token file") as caught:
        find_token(path, {})
    subprocess.run(caught.value.hint, shell=True, check=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert find_token(path, {}).matches(path.read_text().strip())


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_an_address_tries_five_times_at_once_and_then_once_in_ten_seconds():
    clock = Clock()
    throttle = Throttle(clock)
    assert [throttle.take("192.0.2.1") for _ in range(BURST)] == [0] * 5
    # the sixth has to wait until one of five is there again, and asking costs nothing more
    assert [throttle.take("192.0.2.1") for _ in range(3)] == [10, 10, 10]
    assert throttle.take("192.0.2.2") == 0
    clock.now += 9.5
    assert throttle.take("192.0.2.1") == 1  # 0.5 s, in whole seconds
    clock.now += 0.5
    assert [throttle.take("192.0.2.1") for _ in range(2)] == [0, 10]
    clock.now += BURST * REFILL_S
    assert [throttle.take("192.0.2.1") for _ in range(BURST + 1)] == [0] * 5 + [10]


def test_right_tokens_cost_nothing():
    throttle = Throttle(Clock())
    for _ in range(100):
        assert throttle.take("192.0.2.1") == 0
        throttle.give_back("192.0.2.1")


def test_neighbours_of_an_ipv6_network_share_tries_and_a_mapped_address_is_one():
    throttle = Throttle(Clock())
    assert [throttle.take(f"2001:db8::{n}") for n in range(BURST + 1)] == [0] * 5 + [10]
    assert throttle.take("2001:db8:0:1::1") == 0
    assert [throttle.take(a) for a in ["::ffff:192.0.2.1", "192.0.2.1"] * 3] == [0] * 5 + [10]


def test_memory_is_bounded():
    throttle, sessions = Throttle(Clock()), Sessions(Clock())
    for n in range(5000):
        throttle.take(f"10.0.{n // 256}.{n % 256}")
    assert len(throttle._full_at) == 4096
    first, second = sessions.open(), sessions.open()
    assert sessions.knows(first)  # now the second was used the longest ago
    for _ in range(999):
        last = sessions.open()
    assert [sessions.knows(cookie) for cookie in (first, second, last)] == [True, False, True]


def test_a_session_ends_a_week_after_its_last_use():
    clock = Clock()
    sessions = Sessions(clock)
    cookie = sessions.open()
    for _ in range(3):
        clock.now += SESSION_S
        assert sessions.knows(cookie)
    clock.now += SESSION_S + 1
    assert not sessions.knows(cookie)
    assert not sessions.knows(cookie)
    assert not any(map(sessions.knows, ["", "x", "ü"]))
