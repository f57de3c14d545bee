"""`compare`: studies side by side, on the terminal and as a page of plots."""

from __future__ import annotations

import argparse

from fxai.errors import InputError
from fxai.report.compare import print_comparison, write_comparison
from fxai.report.facts import read_facts
from fxai.report.tables import print_list
from fxai.report.terminal import PIPE, make_console
from fxai.study.database.reader import reading


def compare_command(args: argparse.Namespace) -> int:
    """Print the tables and write the page."""
    names = list(dict.fromkeys(args.studies))
    if len(names) < 2:
        raise InputError(
            "one study alone has nothing to be compared with",
            where="compare",
            hint=f"name a second one; poe optuna-status lists them, poe optuna-best {names[0]} shows one",
        )
    with reading(args.storage) as reader:
        studies = read_facts(reader, names, args.storage, args.results_dir)
    console = make_console()
    console = console if console.is_terminal else make_console(width=PIPE)
    print_comparison(studies, console)
    print_list(console, "written", [(str(write_comparison(studies, args.results_dir)), "")])
    return 0
