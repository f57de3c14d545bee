"""What every test may rely on."""

from __future__ import annotations

import os
import signal


def pytest_configure() -> None:
    """Tests and their children keep nothing in the user's cache, and hear a Ctrl-C.

    A shell that starts a command in the background makes it, and its children, ignore that.
    """
    os.environ["FXAI_CACHE"] = "off"
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
