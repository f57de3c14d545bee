"""README and guide name only what exists: tasks, options, exit codes, specs, files, links, anchors."""

from __future__ import annotations

import argparse
import re
import shlex
import sys
from pathlib import Path

import pytest
import yaml
from shipped import shipped

from fxai import cli
from fxai.commands import entries
from fxai.dashboard.token import make_command
from fxai.errors import FxaiError, InputError, StorageError, StudyConflict

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
GUIDE = (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")
DOCS = {"README.md": README, "docs/guide.md": GUIDE}
TASKS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["poe"]["tasks"]

WRITTEN_BY_A_BLOCK = "steady.yaml"
"""Spec that the guide has the reader write; tests/test_guide.py runs it."""


def commands_of(text: str) -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", text, re.S)
    return sorted({line.partition("  #")[0].strip() for block in blocks for line in block.splitlines() if line})


COMMANDS = sorted({line for text in DOCS.values() for line in commands_of(text)})


def rows(text: str, heading: str) -> list[list[str]]:
    """The table below the line that begins its head; cells without their backquotes."""
    lines = text[text.index(heading) :].splitlines()[2:]
    body = lines[: next((i for i, line in enumerate(lines) if not line.startswith("|")), len(lines))]
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in body]


def parsers() -> dict[str, argparse.ArgumentParser]:
    parser, _ = cli._parser()
    action = next(action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return dict(action.choices)


def parse(words: list[str]) -> argparse.Namespace:
    parser, names = cli._parser()
    return parser.parse_args(words if words[0] in names else ["run", *words])


def test_there_are_commands_to_check() -> None:
    assert {"make demo", "poe optuna-all", "poe optuna-best fx_ai_quick"} <= set(COMMANDS)


@pytest.mark.parametrize("task", sorted(set(re.findall(r"\bpoe ([a-z][\w-]*)", README + GUIDE))))
def test_every_task_named_exists(task: str) -> None:
    assert task in TASKS


@pytest.mark.parametrize("task", sorted(TASKS))
def test_every_task_has_one_line_of_help_and_stands_in_readme_or_guide(task: str) -> None:
    assert TASKS[task]["help"]
    assert "\n" not in TASKS[task]["help"]
    assert re.search(rf"`(poe )?{task}\b", README + GUIDE) or f"poe {task}\n" in GUIDE + README


@pytest.mark.parametrize("task", sorted(name for name, task in TASKS.items() if "optuna_optim" in task.get("cmd", "")))
def test_every_task_explains_itself(task: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*shlex.split(TASKS[task]["cmd"])[2:], "--help"]
    with pytest.raises(SystemExit) as left:
        cli.main(words)
    assert left.value.code == 0
    assert "usage:" in capsys.readouterr().out


@pytest.mark.parametrize("line", [line for line in COMMANDS if line.startswith(("poe ", "python "))])
def test_every_command_parses(line: str) -> None:
    words = shlex.split(line)
    if words[0] == "poe":
        words = [*shlex.split(TASKS[words[1]]["cmd"]), *words[2:]]
    script, *given = words[1:]
    assert (ROOT / script).is_file()
    if script.startswith("benchmarks/"):
        return
    args = parse(["transfer", *given] if script == "scripts/transfer_best_params.py" else given)
    spec = getattr(args, "spec", None)
    assert spec is None or spec == Path(WRITTEN_BY_A_BLOCK) or (ROOT / spec).is_file()


@pytest.mark.parametrize("line", [line for line in COMMANDS if not line.startswith(("poe ", "python "))])
def test_every_other_command_is_known(line: str) -> None:
    if line.startswith("make "):
        assert re.search(rf"^{line.split()[1]}:", (ROOT / "Makefile").read_text(), re.M)
    else:
        assert line in ("source .venv/bin/activate", make_command())


@pytest.mark.parametrize("name", sorted(DOCS))
def test_every_file_named_exists(name: str) -> None:
    named = re.findall(r"`((?:config|benchmarks|docs|scripts|fxai|tests)/[\w/.-]+)", DOCS[name])
    assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("name", sorted(DOCS))
def test_every_link_leads_somewhere(name: str) -> None:
    for link in re.findall(r"\]\(((?!https?:)[^)]+)\)", DOCS[name]):
        path, _, anchor = link.partition("#")
        target = (ROOT / name).parent / path if path else ROOT / name
        assert target.is_file(), link
        headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.M)
        slugs = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
        assert not anchor or anchor in slugs, link


def test_the_tree_is_the_tree() -> None:
    tree = README.partition("## The code, from the top")[2].partition("```\n")[2].partition("```")[0]
    named = [line.split()[0] for line in tree.splitlines()]
    assert all((ROOT / name).exists() for name in named)
    packages = {f"fxai/{p.name}/" for p in (ROOT / "fxai").iterdir() if (p / "__init__.py").exists()}
    assert packages <= set(named)


def test_the_exit_codes_are_those_of_the_errors() -> None:
    kinds = {
        FxaiError: "a bug",
        InputError: "bad input",
        StorageError: "storage or disk",
        StudyConflict: "study conflict",
    }
    told = ", ".join(f"{kind.exit_code} {words}" for kind, words in kinds.items())
    assert f"Exit codes: 0 ok, {told}, 130 Ctrl-C, 143 SIGTERM." in README
    assert f"Exit codes: 0 ok, {told}, 130 Ctrl-C, 143 SIGTERM." in GUIDE


def test_the_table_of_options_is_complete() -> None:
    told = {option for row in rows(GUIDE, "| option | meaning |") for option in re.findall(r"--[\w-]+", row[0])}
    known = {
        name: {option for option in parsers()[name]._option_string_actions if option.startswith("--")}
        for name in ("run", "study")
    }
    assert known["run"] - {"--help", "--debug", "--spec"} == told
    assert known["study"] - {"--help", "--debug", "--specs"} == told - {"--study-name"}


def test_the_table_of_specs_is_that_of_the_files() -> None:
    told = {row[0].strip("`"): row for row in rows(GUIDE, "| spec | study |")}
    files = {path.relative_to(ROOT).as_posix(): path for path in shipped("config/optuna")}
    assert told.keys() == files.keys()
    for name, path in files.items():
        (study,) = yaml.safe_load(path.read_text(encoding="utf-8"))["studies"]
        kinds = [study[part]["type"].removesuffix(part.title()) for part in ("sampler", "pruner")]
        expected = [f"`{study['study_name']}`", str(study["n_trials"]), *kinds]
        assert [*told[name][1:3], *told[name][4:]] == expected, name


def test_every_command_of_the_program_is_behind_a_task() -> None:
    behind = {word for task in TASKS.values() for word in shlex.split(task.get("cmd", ""))[2:3]}
    assert entries.COMMANDS.keys() - behind == {"run", "transfer"}  # run needs no word; transfer is scripts/
