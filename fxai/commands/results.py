"""`results`: what the phases, or other studies, found."""

from __future__ import annotations

import argparse

from fxai.report.overview import print_results


def results_command(args: argparse.Namespace) -> int:
    """Print the comparison."""
    print_results(args.storage, args.results_dir, args.studies, every=args.all, as_json=args.json)
    return 0
