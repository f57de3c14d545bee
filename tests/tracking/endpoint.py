"""An HTTP endpoint on this machine that takes notifications in."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Endpoint(ThreadingHTTPServer):
    """Keeps the messages that are posted; refuses those to /refuse, never answers those to /hang."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.messages: list[dict[str, str]] = []
        self.ended = threading.Event()
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def url(self, path: str = "") -> str:
        return f"json://user:hunter2@127.0.0.1:{self.server_port}/{path}"


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nothing is printed."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        server = self.server
        assert isinstance(server, Endpoint)
        if "hang" in self.path:
            server.ended.wait(30)
        elif "refuse" not in self.path:
            server.messages.append(json.loads(body))
        self.send_response(500 if "refuse" in self.path else 200)
        self.send_header("content-length", "0")
        self.end_headers()
