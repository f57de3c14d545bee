"""The command line: arguments, and errors as people read them.

Commands import what they need when they run, so that help and spec errors answer at once. Data goes to stdout, talk
to stderr.
"""

from __future__ import annotations

import argparse
import difflib
import os
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

import fxai
from fxai import defaults
from fxai.errors import FxaiError

PROGRAM = "optuna_optimization.py"

Command = Callable[[argparse.Namespace], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code (fxai.errors)."""
    words = list(sys.argv[1:] if argv is None else argv)
    parser, commands = _parser()
    if not words:
        parser.print_help(sys.stderr)
        return 2
    if not words[0].startswith("-") and words[0] not in commands:
        _say(f"error: there is no command {words[0]!r}")
        _say(f"hint: commands are {', '.join(sorted(commands))}; to run a study: {PROGRAM} --spec FILE")
        return 2
    if words[0] not in commands and words[0] not in ("-h", "--help", "--version"):
        words.insert(0, "run")
    if words[0] in commands and (unknown := _unknown_option(words[1:], commands[words[0]])) is not None:
        _say(f"error: {words[0]} has no option {unknown}")
        _say(f"hint: {_meant(unknown, words[0], commands[words[0]])}")
        return 2
    args = parser.parse_args(words)
    try:
        command: Command = args.command
        code = command(args)
        sys.stdout.flush()
        return code
    except FxaiError as error:
        return _explain(error, args.debug)
    except KeyboardInterrupt:
        _say("interrupted")
        return 130
    except BrokenPipeError:
        _silence_stdout()
        return 1
    except Exception as error:
        return _crash(error, args.debug)


def _parser() -> tuple[argparse.ArgumentParser, dict[str, list[str]]]:
    """The parser, and the options of each command."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        usage=f"{PROGRAM} --spec FILE [option ...]\n       {PROGRAM} COMMAND [option ...]",
        description="Tune PPO trading agents with Optuna. Without a command: run the studies of a spec file.",
        epilog=f"The options of a command: {PROGRAM} COMMAND --help",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"FxAI {fxai.__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", prog=PROGRAM)

    def add(name: str, command: Command, summary: str) -> argparse.ArgumentParser:
        sub = subparsers.add_parser(name, help=summary, description=summary, allow_abbrev=False)
        sub.add_argument("--debug", action="store_true", help="print the traceback of an error")
        sub.set_defaults(command=command)
        return sub

    _run_options(add("run", run, "Run or resume the studies of a spec file; the word `run` may be left out."))

    best = add("best", show_best, "Print the best trial of a study and export its parameters and config.")
    best.add_argument("study", metavar="STUDY", help="name of the study")
    _storage_option(best)
    best.add_argument(
        "--results-dir", metavar="DIR", type=Path, default=Path(defaults.RESULTS), help="default: %(default)s"
    )

    _storage_option(add("status", show_status, "List the studies of a database and how far they are."))

    _board_options(add("dashboard", serve_dashboard, "Serve Optuna's dashboard on this machine until Ctrl-C."))

    train = add("train", _train, "Train one agent from a training config, for example an exported best config.")
    train.add_argument("--config", metavar="FILE", type=Path, required=True, help="training config (YAML)")
    train.add_argument("--ruler", metavar="FILE", type=Path, help="config to score with; default: the study's")
    train.add_argument("--out", metavar="DIR", type=Path, help="where the agent is saved")

    _backtest_options(add("backtest", _backtest, "Trade a trained agent on the validation bars, or on a file of bars."))

    _data_check_options(add("data-check", _data_check, "Report what price files hold and what is wrong with them."))
    return parser, {name: list(sub._option_string_actions) for name, sub in subparsers.choices.items()}


def _unknown_option(words: Sequence[str], known: Sequence[str]) -> str | None:
    """The first option that a command does not have; argparse would first ask for those that are missing."""
    if {"-h", "--help"} & set(words):
        return None
    for word in words:
        if word == "--":
            break
        name = word.partition("=")[0]
        # as argparse reads them: a lone dash, a negative number and words with blanks are values
        is_value = not word.startswith("-") or word == "-" or " " in name or re.fullmatch(r"-\d*\.?\d+", word)
        if not is_value and name not in known:
            return name
    return None


def _meant(unknown: str, command: str, known: Sequence[str]) -> str:
    """A known option that starts alike, is spelled alike, or has the same letters in their order: --tz, --timezone."""
    everything = f"{PROGRAM} {command} --help lists its options"
    bare = unknown.strip("-").lower()
    if not bare:
        return everything
    names = sorted(option.removeprefix("--") for option in known if option.startswith("--"))
    alike = [name for name in names if name.startswith(bare)]
    alike = alike or difflib.get_close_matches(bare, names, n=1, cutoff=0.6)
    letters = ".*".join(map(re.escape, bare))
    alike = alike or [name for name in names if re.match(letters, name)]
    return f"did you mean --{alike[0]}? ({everything})" if alike else everything


def _board_options(parser: argparse.ArgumentParser) -> None:
    _storage_option(parser)
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address; default: %(default)s")
    parser.add_argument("--port", type=_port, default=defaults.DASHBOARD_PORT, help="default: %(default)s")


def _data_check_options(parser: argparse.ArgumentParser) -> None:
    """Options of a file have the names that they have under `data`, and are checked as those are."""
    add = parser.add_argument
    add("files", metavar="FILE", type=Path, nargs="*", help="file of bars")
    add("--config", metavar="FILE", type=Path, help="training config in place of files: its data, all its instruments")
    add("--format", metavar="NAME", help="layout of the files (docs/data.md); default: told from their content")
    add("--timezone", metavar="ZONE", help="of times that carry no offset: UTC, America/New_York+07:00, ...")
    add("--date-order", metavar="ORDER", help="of dates such as 01/02/2024: day_first, month_first or year_first")
    add("--decimal", metavar="MARK", help="decimal mark, '.' or ','")
    add("--sort", action="store_true", default=None, help="sort the rows by time")
    add("--price-scale", metavar="X", type=_number, help="what prices are multiplied by, such as 0.00001")
    add("--point-size", metavar="X", type=_number, help="of a <SPREAD> in points, such as 0.00001, or last_digit")
    add("--max-rows-shown", metavar="N", type=_count, default=5, help="of each defect; default: %(default)s")


def _run_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--spec", metavar="FILE", type=Path, required=True, help="study spec (YAML)")
    parser.add_argument("--n-trials", metavar="N", type=_count, help="total budget of each study, over all its runs")
    parser.add_argument("--timeout", metavar="SECONDS", type=_seconds, help="start no trial after this long")
    parser.add_argument("--study-name", metavar="NAME", help="one study of the spec; or another name for its only one")
    parser.add_argument("--storage", metavar="URL", help="database in place of the spec's")
    parser.add_argument("--results-dir", metavar="DIR", type=Path, help="results folder in place of the spec's")
    parser.add_argument("--new-study", action="store_true", help="run under the next free name: NAME-2, NAME-3, ...")
    parser.add_argument("--quiet", action="store_true", help="print warnings and errors only")
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="override a setting for all trials, for example training.total_updates=50; may be repeated",
    )


def _backtest_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", metavar="FILE", type=Path, required=True, help="training config (YAML)")
    parser.add_argument("--weights", metavar="FILE", type=Path, required=True, help="weights that train saved")
    parser.add_argument("--default", metavar="FILE", type=Path, help="weights of the default config's agent, beside it")
    parser.add_argument("--ruler", metavar="FILE", type=Path, help="config to score with; default: the study's")
    parser.add_argument(
        "--out",
        metavar="FILE",
        type=Path,
        help="the page; default: backtest.html, or backtest_BARS.html, beside the weights",
    )
    parser.add_argument("--csv", metavar="FILE", type=Path, help="write the list of trades as well")
    parser.add_argument("--include-sealed", action="store_true", help="walk bars in the time of the sealed test too")
    bars = parser.add_argument_group("another file of bars")
    bars.add_argument("--bars", metavar="FILE", type=Path, help="walk this file, read as the config's data says")
    bars.add_argument("--instrument", metavar="NAME", help="what it holds; default: the config's only instrument")
    bars.add_argument("--from", metavar="DAY", dest="first_day", type=_day, help="first day walked, YYYY-MM-DD")
    bars.add_argument("--to", metavar="DAY", dest="last_day", type=_day, help="last day walked")
    bars.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="how the file is read, for example data.timezone=UTC; may be repeated",
    )


def _storage_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--storage", metavar="URL", default=defaults.STORAGE, help="default: %(default)s")


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {text!r}")
    return int(text)


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"must be a port from 1 to 65535, got {text!r}")
    return int(text)


def _day(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a day of the calendar, YYYY-MM-DD, got {text!r}") from None


def _number(text: str) -> float | str:
    """A number where it is one; what is wrong with other words, the settings know."""
    try:
        return float(text)
    except ValueError:
        return text


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number of seconds above 0, got {text!r}")
    return value


def run(args: argparse.Namespace) -> int:
    """Run the studies of a spec file, one after the other."""
    from fxai.commands.study import run_specs

    return run_specs(args, _say)


def show_best(args: argparse.Namespace) -> int:
    """Print and export the best trial of a study."""
    from fxai.commands.study import best

    return best(args.study, args.storage, args.results_dir)


def show_status(args: argparse.Namespace) -> int:
    """List the studies of a database."""
    from fxai.report.status import print_status

    print_status(args.storage)
    return 0


def serve_dashboard(args: argparse.Namespace) -> int:
    """Serve the dashboard until Ctrl-C."""
    from fxai.dashboard import dashboard_server

    with dashboard_server(args.storage, args.host, args.port) as server:
        _say(f"dashboard on http://{args.host}:{args.port} (Ctrl-C ends it)")
        server.serve_forever()
    return 0


def _train(args: argparse.Namespace) -> int:
    from fxai.commands.train import train_command

    return int(train_command(args))


def _backtest(args: argparse.Namespace) -> int:
    from fxai.commands.backtest import backtest_command

    return int(backtest_command(args))


def _data_check(args: argparse.Namespace) -> int:
    from fxai.commands.data_check import data_check_command

    return int(data_check_command(args))


def _say(text: str) -> None:
    """Talk goes to stderr, without control characters; on a terminal notes are broken at blanks.

    Errors and hints are not: they hold commands and places, which must be copied as they are.
    """
    from fxai.report.text import clean, wrapped

    for line in text.splitlines():
        told = clean(line, 1000)
        if told.startswith(("note: ", "warning: ")) and sys.stderr.isatty():
            told = wrapped(told, _width_of_stderr())
        print(told, file=sys.stderr)


def _width_of_stderr() -> int:
    """shutil would ask stdout, which may be a file."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except OSError:
        return 80


def _explain(error: FxaiError, debug: bool) -> int:
    """The error as its class defines it: what, where, and what to do."""
    if debug:
        print(_traceback(error), file=sys.stderr)
    _say(f"error: {error.where}: {error.what}" if error.where else f"error: {error.what}")
    if error.hint:
        _say(f"hint: {error.hint}")
    return error.exit_code


def _crash(error: Exception, debug: bool) -> int:
    """A bug: one line, and the traceback in a file that only the user can read."""
    from fxai.secrets import redact

    text = _traceback(error)
    if debug:
        print(text, file=sys.stderr)
    _say(f"error: this is a bug in FxAI: {type(error).__name__}: {redact(' '.join(str(error).split()))}")
    try:
        handle, path = tempfile.mkstemp(prefix="fxai-traceback-", suffix=".log")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError:
        _say("hint: run it again with --debug for the traceback")
    else:
        _say(f"hint: the traceback is in {path}")
    return FxaiError.exit_code


def _traceback(error: BaseException) -> str:
    import traceback

    from fxai.secrets import redact

    return redact("".join(traceback.format_exception(error)))


def _silence_stdout() -> None:
    """The reader of our output has gone; Python would complain about it once more at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
