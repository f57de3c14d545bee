"""As much of a W&B server as a run needs, on this machine; keeps what it is sent."""

from __future__ import annotations

import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class WandbServer(ThreadingHTTPServer):
    """Answers W&B's queries; `runs` are the variables of its upserts, `history` the rows of each run."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.runs: dict[str, dict[str, Any]] = {}
        self.history: dict[str, list[dict[str, Any]]] = {}
        self.exit_codes: dict[str, int] = {}
        self.received = b""
        self.lock = threading.Lock()
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are no matter."""

    def answer(self, path: str, body: bytes) -> dict[str, Any]:
        with self.lock:
            self.received += body
            if path == "/graphql":
                told = json.loads(body)
                return {"data": self._graphql(told["query"], told.get("variables") or {})}
            if path.endswith("/file_stream"):
                self._stream(path.split("/")[-2], json.loads(body))
            return {}

    def _graphql(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        if "upsertBucket" in query:
            run = self.runs.setdefault(variables["name"], {})
            run.update({key: value for key, value in variables.items() if value is not None})
            entity = {"id": "E", "name": "somebody"}
            project = {"id": "P", "name": variables["project"], "entity": entity}
            bucket = {
                "id": "R",
                "name": variables["name"],
                "displayName": variables.get("displayName"),
                "description": None,
                "config": "{}",
                "historyLineCount": 0,
                "project": project,
                "sweepName": None,
            }
            return {"upsertBucket": {"bucket": bucket, "inserted": True}}
        if "createRunFiles" in query:
            files = [{"name": name, "uploadUrl": f"{self.url}/upload/{name}"} for name in variables["files"]]
            return {"createRunFiles": {"runID": "R", "uploadHeaders": [], "files": files}}
        return {}

    def _stream(self, run: str, told: dict[str, Any]) -> None:
        lines = told.get("files", {}).get("wandb-history.jsonl", {}).get("content", [])
        self.history.setdefault(run, []).extend(json.loads(line) for line in lines)
        if "exitcode" in told:
            self.exit_codes[run] = told["exitcode"]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is printed."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        server = self.server
        assert isinstance(server, WandbServer)
        answer = json.dumps(server.answer(self.path, body)).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_PUT = do_POST
