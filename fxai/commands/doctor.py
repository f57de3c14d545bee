"""`doctor`: what is wrong on this machine and with these studies, and what mends it."""

from __future__ import annotations

import argparse

from fxai.errors import InputError


def doctor_command(args: argparse.Namespace) -> int:
    """Print the findings; the exit code is that of the gravest, 0 where nothing is wrong.

    Raises:
        InputError: a package is missing without which nothing can be looked at.
    """
    try:
        from fxai.doctor.examination import examine
        from fxai.doctor.place import find_place
        from fxai.doctor.view import as_json, print_findings
        from fxai.report.terminal import make_console

        if args.repair:
            from fxai.doctor.repair import repair
    except ImportError as error:
        raise InputError(
            f"a package that FxAI needs is missing: {error}", hint="pip install -c constraints.txt -e ."
        ) from error
    place = find_place(args.spec, args.storage, args.results_dir)
    findings = repair(place) if args.repair else []
    findings += examine(place)
    if args.json:
        print(as_json(findings))
    else:
        print_findings(make_console(), findings)
    return max(one.exit_code for one in findings)
