"""`dashboard`: Optuna's dashboard with the notes and files of the trials, served until Ctrl-C."""

from __future__ import annotations

import argparse
from pathlib import Path

from fxai import defaults
from fxai.dashboard.server import dashboard_server
from fxai.errors import InputError
from fxai.report.talk import say
from fxai.secrets import redact_url


def dashboard_command(args: argparse.Namespace) -> int:
    """Serve the dashboard; what is not said on the command line, the spec says, else the defaults."""
    storage, port, results = defaults.STORAGE, defaults.DASHBOARD_PORT, Path(defaults.RESULTS)
    if args.spec is not None:
        from fxai.study.spec import load_specs

        specs = load_specs(args.spec)
        urls = list(dict.fromkeys(spec.storage for spec in specs.studies))
        if len(urls) > 1 and args.storage is None:
            raise InputError(
                f"its studies lie in {len(urls)} databases, and the dashboard shows one",
                where=str(args.spec),
                hint=f"name one with --storage: {', '.join(map(redact_url, urls))}",
            )
        storage, port, results = urls[0], specs.dashboard_port, specs.results_dir
    port, results = args.port or port, args.results_dir or results
    with dashboard_server(args.storage or storage, args.host, port, results) as server:
        say(f"dashboard on http://{args.host}:{port} (Ctrl-C ends it)")
        server.serve_forever()
    return 0
