"""The options of each command; argparse prints their help and their errors.

Nothing heavy is imported here: help answers at once.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from fxai import defaults
from fxai.commands.values import count as _count
from fxai.commands.values import database as _database
from fxai.commands.values import day as _day
from fxai.commands.values import number as _number
from fxai.commands.values import port as _port
from fxai.commands.values import seconds as _seconds

Parser = argparse.ArgumentParser


def run(parser: Parser) -> None:
    """Options of `run`."""
    parser.add_argument("--spec", metavar="FILE", type=Path, required=True, help="study spec (YAML)")
    _which_options(parser)
    _override_options(parser)


def parallel(parser: Parser) -> None:
    """Options of `parallel`."""
    parser.add_argument("n_jobs", metavar="N", type=_count, help="workers")
    spec = Path("config/optuna/parallel_search.yaml")
    parser.add_argument("--spec", metavar="FILE", type=Path, default=spec, help="study spec; default: %(default)s")
    _which_options(parser)
    _override_options(parser, n_jobs=False)


def study(parser: Parser) -> None:
    """Options of `study`."""
    parser.add_argument("study", metavar="NAME", help="a study's name, or that of its spec file")
    _specs_option(parser)
    _which_options(parser, named=False)
    _override_options(parser)


def lint(parser: Parser) -> None:
    """Options of `lint`."""
    parser.add_argument(
        "spec", metavar="SPEC", help="spec file (YAML), or the name of one of config/optuna or its study"
    )
    parser.add_argument("--no-calibration", action="store_true", help="train nothing, forecast no time")
    parser.add_argument("--n-trials", metavar="N", type=_count, help="as in run")
    parser.add_argument("--n-jobs", metavar="N", type=_count, help="as in run")
    _set_option(parser, "as in run, for example training.total_updates=50; may be repeated")
    _json_option(parser)
    parser.set_defaults(timeout=None, storage=None)


def chain(parser: Parser) -> None:
    """Options of `chain`."""
    _specs_option(parser)
    _min_trials_option(parser)
    _seeds_option(parser, least=0)
    _override_options(parser)


def transfer(parser: Parser) -> None:
    """Options of `transfer`."""
    parser.add_argument("--from-phase", metavar="N", type=_count, help="phase whose best is carried")
    parser.add_argument("--to-phase", metavar="N", type=_count, help="phase that it is carried to")
    parser.add_argument("--status", action="store_true", help="say what is carried where and whether it is stale")
    parser.add_argument("--from-study", metavar="NAME", help="take this study in place of the phase's own")
    _specs_option(parser)
    _min_trials_option(parser)
    parser.add_argument("--storage", metavar="URL", type=_database, help="database in place of the specs'")
    parser.add_argument("--results-dir", metavar="DIR", type=Path, help="results folder in place of the specs'")
    _set_option(parser, "what the phases are run with, for example training.total_updates=50; may be repeated")
    parser.set_defaults(n_trials=None, timeout=None)


def confirm(parser: Parser) -> None:
    """Options of `confirm`."""
    _study_argument(parser)
    _seeds_option(parser, least=2)
    _storage_option(parser)
    _results_option(parser)
    parser.add_argument("--quiet", action="store_true", help="print no progress")


def _which_options(parser: Parser, *, named: bool = True) -> None:
    """Which study is run: the one of the spec, one beside it, or one that runs already."""
    add = parser.add_argument
    if named:
        add("--study-name", metavar="NAME", help="one study of the spec; or another name for its only one")
    add("--new-study", action="store_true", help="run under the next free name: NAME-2, NAME-3, ...")
    add("--without-transfer", action="store_true", help="run a phase without what it should inherit")
    add("--join", action="store_true", help="more workers for a study that runs in another terminal or on another host")
    add("--wait", metavar="SECONDS", type=_seconds, help="with --join: wait that long for the study to begin")


def _override_options(parser: Parser, *, n_jobs: bool = True) -> None:
    """What `run` and `chain` take in place of a spec's own, and who runs the trials."""
    parser.add_argument("--n-trials", metavar="N", type=_count, help="total budget of each study, over all its runs")
    parser.add_argument("--timeout", metavar="SECONDS", type=_seconds, help="start no trial after this long")
    if n_jobs:
        parser.add_argument("--n-jobs", metavar="N", type=_count, help="workers at once; default: the spec's")
    fully = "run as many workers as asked for, also where cores or GPUs are fewer"
    parser.add_argument("--oversubscribe", action="store_true", help=fully)
    where = "workers are processes of this machine, or actors of a Ray cluster; default: %(default)s"
    parser.add_argument("--launcher", choices=("local", "ray"), default="local", help=where)
    parser.add_argument("--ray-address", metavar="HOST:PORT", help="head of the Ray cluster; default: this machine's")
    parser.add_argument("--storage", metavar="URL", type=_database, help="database in place of the spec's")
    parser.add_argument("--results-dir", metavar="DIR", type=Path, help="results folder in place of the spec's")
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--quiet", action="store_true", help="print warnings and errors only")
    output.add_argument(
        "--json",
        action="store_true",
        help="print one JSON object per line and event on stdout, a summary as the last line of a study, nothing else; "
        "events and their keys: fxai/report/json_lines.py",
    )
    _set_option(parser, "override a setting for all trials, for example training.total_updates=50; may be repeated")


def plots(parser: Parser) -> None:
    """Options of `plots`."""
    _study_argument(parser)
    _storage_option(parser)
    _results_option(parser)


def best(parser: Parser) -> None:
    """Options of `best`."""
    _study_argument(parser)
    _storage_option(parser)
    _results_option(parser)
    _json_option(parser)


def status(parser: Parser) -> None:
    """Options of `status`."""
    _storage_option(parser)
    _results_option(parser)
    _json_option(parser)


def results(parser: Parser) -> None:
    """Options of `results`."""
    parser.add_argument("studies", metavar="STUDY", nargs="*", help="names of studies; default: the phases")
    parser.add_argument("--all", action="store_true", help="every study of the database")
    _storage_option(parser)
    _results_option(parser)
    _json_option(parser)


def compare(parser: Parser) -> None:
    """Options of `compare`."""
    parser.add_argument("studies", metavar="STUDY", nargs="+", help="names of two or more studies")
    _storage_option(parser)
    _results_option(parser)


def refine(parser: Parser) -> None:
    """Options of `refine`."""
    _study_argument(parser)
    _storage_option(parser)
    _results_option(parser)
    out = "the spec; default: config/optuna/STUDY_refined.yaml"
    parser.add_argument("--out", metavar="FILE", type=Path, help=out)
    parser.add_argument("--force", action="store_true", help="replace a refined spec that exists")


def dashboard(parser: Parser) -> None:
    """Options of `dashboard`."""
    add = parser.add_argument
    add("--spec", metavar="FILE", type=Path, help="study spec (YAML): its database, port and results folder")
    add("--storage", metavar="URL", type=_database, help=f"default: the spec's, else {defaults.STORAGE}")
    results = f"holds the studies' folders, whose files are shown; default: the spec's, else {defaults.RESULTS}"
    add("--results-dir", metavar="DIR", type=Path, help=results)
    add("--port", type=_port, help=f"default: the spec's, else {defaults.DASHBOARD_PORT}")
    add("--host", default="127.0.0.1", help="0.0.0.0 lets others in, with a token; default: %(default)s")
    add("--token-file", metavar="FILE", type=Path, help="holds the token, mode 0600; or set FXAI_DASHBOARD_TOKEN")
    add("--allow-host", metavar="NAME", action="append", default=[], help="another NAME[:PORT] of it, as a proxy's")
    add("--allow-writes", action="store_true", help="others may change studies too")
    add("--read-only", action="store_true", help="nobody may; the default where others can come")


def doctor(parser: Parser) -> None:
    """Options of `doctor`."""
    add = parser.add_argument
    add("--spec", metavar="FILE", type=Path, help="study spec (YAML): its database, results folder, port and needs")
    add("--storage", metavar="URL", help=f"default: the spec's, else {defaults.STORAGE}")
    add("--results-dir", metavar="DIR", type=Path, help=f"default: the spec's, else {defaults.RESULTS}")
    repairs = (
        "queue trials of dead workers again, clear dead processes' marks, remove half-written files over a day old"
    )
    add("--repair", action="store_true", help=repairs)
    _json_option(parser)


def train(parser: Parser) -> None:
    """Options of `train`."""
    parser.add_argument("--config", metavar="FILE", type=Path, required=True, help="training config (YAML)")
    parser.add_argument("--ruler", metavar="FILE", type=Path, help="config to score with; default: the study's")
    parser.add_argument("--out", metavar="DIR", type=Path, help="where the agent is saved")


def backtest(parser: Parser) -> None:
    """Options of `backtest`."""
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


def data_check(parser: Parser) -> None:
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


def _set_option(parser: Parser, help_text: str) -> None:
    parser.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help=help_text)


def _specs_option(parser: Parser) -> None:
    parser.add_argument(
        "--specs",
        metavar="DIR",
        type=Path,
        default=Path("config/optuna"),
        help="folder with the specs of the phases; default: %(default)s",
    )


def _min_trials_option(parser: Parser) -> None:
    parser.add_argument(
        "--min-trials",
        metavar="N",
        type=_count,
        help="completed trials that a transfer needs; default: 10, or half of a smaller budget",
    )


def _seeds_option(parser: Parser, least: int) -> None:
    def seeds(text: str) -> int:
        if not text.isdecimal() or (int(text) < 2 and int(text) != least):
            raise argparse.ArgumentTypeError(f"must be a whole number of at least 2, got {text!r}")
        return int(text)

    none = "; 0 confirms nothing" if least == 0 else ""
    parser.add_argument(
        "--seeds", metavar="N", type=seeds, default=5, help=f"fresh seeds of a confirmation; default: %(default)s{none}"
    )


def _study_argument(parser: Parser) -> None:
    parser.add_argument("study", metavar="STUDY", help="name of the study")


def _results_option(parser: Parser) -> None:
    parser.add_argument(
        "--results-dir", metavar="DIR", type=Path, default=Path(defaults.RESULTS), help="default: %(default)s"
    )


def _json_option(parser: Parser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON, for scripts")


def _storage_option(parser: Parser) -> None:
    parser.add_argument(
        "--storage", metavar="URL", type=_database, default=defaults.STORAGE, help="default: %(default)s"
    )
