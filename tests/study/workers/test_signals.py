"""Signals as bytes, and the manners that go with taking them over."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from fxai.study.workers.signals import interrupt_blocked, signal_pipe


@pytest.fixture(autouse=True)
def handlers_are_put_back():
    numbers = (signal.SIGHUP, signal.SIGUSR2)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def test_each_signal_is_a_byte_and_the_end_a_zero():
    before = signal.getsignal(signal.SIGUSR2)
    with signal_pipe((signal.SIGUSR2,)) as reader:
        os.kill(os.getpid(), signal.SIGUSR2)
        assert os.read(reader, 1) == bytes([signal.SIGUSR2])
        assert signal.getsignal(signal.SIGUSR2) is not before
    assert os.read(reader, 1) == b"\0"
    assert signal.getsignal(signal.SIGUSR2) == before
    os.close(reader)


def test_what_nohup_ignores_stays_ignored():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with signal_pipe((signal.SIGHUP,)) as reader:
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    os.close(reader)


def test_a_blocked_interrupt_arrives_afterwards():
    with signal_pipe((signal.SIGINT,)) as reader:
        with interrupt_blocked():
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            assert signal.SIGINT in signal.sigpending()
        assert os.read(reader, 1) == bytes([signal.SIGINT])
    os.close(reader)
