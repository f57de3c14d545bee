"""A dashboard in a thread of the test."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fxai.dashboard.access import Access
from fxai.dashboard.server import dashboard_server


def free_port() -> int:
    """A port that nobody listens at now."""
    with socket.socket() as probe:
        probe.bind(("0.0.0.0", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(url: str, access: Access, results: Path) -> Iterator[None]:
    """A dashboard, until the end of the block."""
    with dashboard_server(url, access, results) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
