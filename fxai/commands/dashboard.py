"""`dashboard`: Optuna's dashboard, served until Ctrl-C."""

from __future__ import annotations

import argparse

from fxai.dashboard import dashboard_server
from fxai.report.talk import say


def dashboard_command(args: argparse.Namespace) -> int:
    """Serve the dashboard."""
    with dashboard_server(args.storage, args.host, args.port) as server:
        say(f"dashboard on http://{args.host}:{args.port} (Ctrl-C ends it)")
        server.serve_forever()
    return 0
