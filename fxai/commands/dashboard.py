"""`dashboard`: Optuna's dashboard with the notes and files of the trials, served until Ctrl-C."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from fxai import defaults
from fxai.dashboard.access import Access, access_for
from fxai.dashboard.server import dashboard_server
from fxai.dashboard.token import TOKEN_VARIABLE, find_token
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
    access = _access(args, port)
    with dashboard_server(args.storage or storage, access, results) as server:
        _announce(access)
        server.serve_forever()
    return 0


def _access(args: argparse.Namespace, port: int) -> Access:
    token = find_token(args.token_file, os.environ)
    os.environ.pop(TOKEN_VARIABLE, None)  # no child of ours needs it
    return access_for(
        args.host,
        port,
        token=token,
        allow_hosts=args.allow_host,
        allow_writes=args.allow_writes,
        read_only=args.read_only,
    )


def _announce(access: Access) -> None:
    asks = "" if access.token is None else ", asks for its token"
    reads = "" if access.writes else ", read-only"
    say(f"dashboard on {access.url}{asks}{reads} (Ctrl-C ends it)")
    if access.others:
        say(
            "warning: HTTP is not encrypted: on a network that you do not trust put an SSH tunnel or a proxy with TLS "
            "before it (docs/guide.md, Dashboard for others)"
        )
