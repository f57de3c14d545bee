"""`doctor`: what is wrong on this machine and with these studies, and what mends it."""

from __future__ import annotations

import argparse

from fxai.doctor.examination import examine
from fxai.doctor.place import find_place
from fxai.doctor.repair import repair
from fxai.doctor.view import as_json, print_findings
from fxai.report.terminal import make_console


def doctor_command(args: argparse.Namespace) -> int:
    """Print the findings; the exit code is that of the gravest, 0 where nothing is wrong."""
    place = find_place(args.spec, args.storage, args.results_dir)
    findings = repair(place) if args.repair else []
    findings += examine(place)
    if args.json:
        print(as_json(findings))
    else:
        print_findings(make_console(), findings)
    return max(one.exit_code for one in findings)
