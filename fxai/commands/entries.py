"""The commands, in the order in which the help lists them.

Nothing heavy is imported here: a command's module is imported when the command runs.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass

from fxai.commands import options

Parser = argparse.ArgumentParser


@dataclass(frozen=True, slots=True)
class Entry:
    """A command of the command line."""

    summary: str
    options: Callable[[Parser], None]
    """Adds its options to its parser."""

    function: str
    """`module:function`, called with the parsed arguments; returns the exit code."""


COMMANDS: dict[str, Entry] = {
    "run": Entry(
        "Run or resume the studies of a spec file; the word `run` may be left out.",
        options.run,
        "fxai.commands.run:run_command",
    ),
    "parallel": Entry(
        "Run or resume the parallel search, or another spec, with N workers.",
        options.parallel,
        "fxai.commands.run:run_command",
    ),
    "study": Entry(
        "Run or resume a study by its name, found among the specs of config/optuna.",
        options.study,
        "fxai.commands.study:study_command",
    ),
    "lint": Entry(
        "Check a spec without running it, and forecast its trials, time and disk on this machine.",
        options.lint,
        "fxai.commands.lint:lint_command",
    ),
    "best": Entry(
        "Print the best trial of a study and export its parameters and config.",
        options.best,
        "fxai.commands.best:best_command",
    ),
    "status": Entry(
        "List studies and phases: how far they are, who runs them, what to type next.",
        options.status,
        "fxai.commands.status:status_command",
    ),
    "results": Entry(
        "Compare what the phases found, or other studies: best, default, improvement, top parameters.",
        options.results,
        "fxai.commands.results:results_command",
    ),
    "compare": Entry(
        "Set studies side by side and draw their histories into one plot.",
        options.compare,
        "fxai.commands.compare:compare_command",
    ),
    "refine": Entry(
        "Write a new spec from what a study shows: freeze, narrow or widen its parameters.",
        options.refine,
        "fxai.commands.refine:refine_command",
    ),
    "plots": Entry(
        "Draw the plots of a study and its report again from the database.",
        options.plots,
        "fxai.commands.plots:plots_command",
    ),
    "dashboard": Entry(
        "Serve Optuna's dashboard until Ctrl-C, on this machine or, with a token, to others.",
        options.dashboard,
        "fxai.commands.dashboard:dashboard_command",
    ),
    "transfer": Entry(
        "Carry the best settings of one phase to the next.",
        options.transfer,
        "fxai.commands.transfer:transfer_command",
    ),
    "chain": Entry(
        "Run all phases, each from the best of the one before, and confirm the best of the last.",
        options.chain,
        "fxai.commands.chain:chain_command",
    ),
    "confirm": Entry(
        "Train a study's best and the default again with fresh seeds, and say which is better.",
        options.confirm,
        "fxai.commands.confirm:confirm_command",
    ),
    "train": Entry(
        "Train one agent from a training config, for example an exported best config.",
        options.train,
        "fxai.commands.train:train_command",
    ),
    "backtest": Entry(
        "Trade a trained agent on the validation bars, or on a file of bars.",
        options.backtest,
        "fxai.commands.backtest:backtest_command",
    ),
    "data-check": Entry(
        "Report what price files hold and what is wrong with them.",
        options.data_check,
        "fxai.commands.data_check:data_check_command",
    ),
    "doctor": Entry(
        "Say what is wrong on this machine and with these studies, and what mends it.",
        options.doctor,
        "fxai.commands.doctor:doctor_command",
    ),
}
"""Every command by its name."""
