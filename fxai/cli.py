"""The command line: arguments, and errors as people read them.

Commands import what they need when they run, so that help and spec errors answer at once. Data goes to stdout, talk
to stderr.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import os
import re
import shlex
import sys
import tempfile
from collections.abc import Sequence
from typing import NoReturn

import fxai
from fxai.commands.entries import COMMANDS
from fxai.errors import FxaiError
from fxai.report.talk import say
from fxai.secrets import redact

PROGRAM = "optuna_optimization.py"


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code (fxai.errors)."""
    words = list(sys.argv[1:] if argv is None else argv)
    parser, known = _parser()
    if not words:
        parser.print_help(sys.stderr)
        return 2
    if not words[0].startswith("-") and words[0] not in known:
        say(f"error: there is no command {redact(words[0])!r}")
        say(f"hint: {_instead(words[0], sorted(known))}")
        return 2
    if words[0] not in known and words[0] not in ("-h", "--help", "--version"):
        words.insert(0, "run")
    if words[0] in known and (unknown := _unknown_option(words[1:], known[words[0]])) is not None:
        say(f"error: {words[0]} has no option {unknown}")
        say(f"hint: {_meant(unknown, words[0], known[words[0]])}")
        return 2
    args = parser.parse_args(words)
    try:
        module, _, function = args.function.partition(":")
        code = int(getattr(importlib.import_module(module), function)(args))
        sys.stdout.flush()
        return code
    except FxaiError as error:
        return _explain(error, args.debug)
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    except BrokenPipeError:
        _silence_stdout()
        return 1
    except Exception as error:
        return _crash(error, args.debug)


class _Parser(argparse.ArgumentParser):
    """One that repeats no password of a database."""

    def error(self, message: str) -> NoReturn:
        super().error(redact(message))


def _parser() -> tuple[argparse.ArgumentParser, dict[str, list[str]]]:
    """The parser, and the options of each command."""
    parser = _Parser(
        prog=PROGRAM,
        usage=f"{PROGRAM} --spec FILE [option ...]\n       {PROGRAM} COMMAND [option ...]",
        description="Tune PPO trading agents with Optuna. Without a command: run the studies of a spec file.",
        epilog=f"The options of a command: {PROGRAM} COMMAND --help",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"FxAI {fxai.__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", prog=PROGRAM)

    for name, entry in COMMANDS.items():
        sub = subparsers.add_parser(name, help=entry.summary, description=entry.summary, allow_abbrev=False)
        sub.add_argument("--debug", action="store_true", help="print the traceback of an error")
        entry.options(sub)
        sub.set_defaults(function=entry.function)
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


def _instead(word: str, known: Sequence[str]) -> str:
    """What to type in place of a word that is no command: somebody may have left out --spec, or `study`."""
    if word.endswith((".yaml", ".yml")):
        return f"to run the studies of a spec: {PROGRAM} --spec {shlex.quote(word)}"
    near = difflib.get_close_matches(word, known, n=1)
    others = f"commands are {', '.join(known)}; to run a study: {PROGRAM} --spec FILE, or {PROGRAM} study NAME"
    return f"did you mean {near[0]}? ({others})" if near else others


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


def _explain(error: FxaiError, debug: bool) -> int:
    """The error as its class defines it: what, where, and what to do."""
    if debug:
        print(_traceback(error), file=sys.stderr)
    say(f"error: {error.where}: {error.what}" if error.where else f"error: {error.what}")
    if error.hint:
        say(f"hint: {error.hint}")
    return error.exit_code


def _crash(error: Exception, debug: bool) -> int:
    """A bug: one line, and the traceback in a file that only the user can read."""
    text = _traceback(error)
    if debug:
        print(text, file=sys.stderr)
    say(f"error: this is a bug in FxAI: {type(error).__name__}: {redact(' '.join(str(error).split()))}")
    try:
        handle, path = tempfile.mkstemp(prefix="fxai-traceback-", suffix=".log")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError:
        say("hint: run it again with --debug for the traceback")
    else:
        say(f"hint: the traceback is in {path}")
    return FxaiError.exit_code


def _traceback(error: BaseException) -> str:
    import traceback

    return redact("".join(traceback.format_exception(error)))


def _silence_stdout() -> None:
    """The reader of our output has gone; Python would complain about it once more at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
