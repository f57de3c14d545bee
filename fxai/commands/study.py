"""`study`: a study by its name, wherever among the specs it stands."""

from __future__ import annotations

import argparse

from fxai.commands.find import find_spec
from fxai.commands.run import run_command
from fxai.report.talk import say


def study_command(args: argparse.Namespace) -> int:
    """Find the spec and run it, as `run` does."""
    found = find_spec(args.study, args.specs)
    if not args.quiet:
        say(f"note: {args.study} is in {found.path}")
    args.spec, args.study_name = found.path, found.study
    return run_command(args)
