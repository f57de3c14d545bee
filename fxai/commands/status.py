"""`status`: the studies of a database and how far they are."""

from __future__ import annotations

import argparse

from fxai.report.status import print_status


def status_command(args: argparse.Namespace) -> int:
    """Print the table."""
    print_status(args.storage, args.results_dir, as_json=args.json)
    return 0
