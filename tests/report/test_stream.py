from __future__ import annotations

import io
import os
import subprocess
import sys
from typing import cast

import pytest

from fxai.report.stream import SteadyStream


class Broken(io.StringIO):
    """A terminal that was closed."""

    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_the_first_error_ends_the_talking_not_the_run() -> None:
    stream = SteadyStream(Broken())
    stream.write("a")
    stream.write("b")
    stream.flush()
    assert not stream.alive


def test_a_closed_stream_is_no_error() -> None:
    inner = io.StringIO()
    inner.close()
    stream = SteadyStream(inner)
    stream.write("a")
    assert not stream.alive
    assert not stream.isatty()


@pytest.mark.parametrize(("encoding", "text"), [("ascii", "a - b | c... ?"), ("utf-8", "a – b · c… 東")])
def test_characters_that_the_encoding_lacks_are_written_plainly(encoding: str, text: str) -> None:
    raw = io.BytesIO()
    stream = SteadyStream(cast(io.TextIOWrapper, io.TextIOWrapper(raw, encoding=encoding)))
    stream.write("a – b · c… 東")
    stream.flush()
    assert raw.getvalue().decode(encoding) == text


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_behind_a_redirect_leaves_exit_code_0_and_no_traceback() -> None:
    code = (
        "from fxai.report.terminal import PlainView\n"
        "view = PlainView(); view.start('s', 3, 0, None, 'maximize', 'm'); view.close()"
    )
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_closed_pipe_leaves_exit_code_0_and_no_traceback() -> None:
    code = (
        "import sys; sys.stdin.read()\n"  # until the reader of stdout is gone
        "from fxai.report.terminal import PlainView\n"
        "view = PlainView(); view.start('s', 3, 0, None, 'maximize', 'm'); view.close()"
    )
    read, write = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=write, stderr=subprocess.PIPE
    ) as process:
        os.close(write)
        os.close(read)
        _, errors = process.communicate(b"")
    assert (process.returncode, errors) == (0, b"")
