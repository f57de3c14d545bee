"""README and guide name only what exists: poe tasks, options, files, folders."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from fxai.cli import _parser

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")

COMMANDS = sorted(
    {line.strip() for block in re.findall(r"```sh\n(.*?)```", README, re.S) for line in block.splitlines()}
)


def tasks_named() -> list[str]:
    return sorted(set(re.findall(r"\bpoe ([a-z][\w-]*)", README)))


def test_there_are_commands_and_tasks_to_check():
    assert "make demo" in COMMANDS
    assert {"optuna-demo", "optuna-best", "train", "backtest"} <= set(tasks_named())


@pytest.mark.parametrize("task", tasks_named())
def test_every_poe_task_exists_with_a_help_line(task):
    pyproject = (ROOT / "pyproject.toml").read_text()
    section = pyproject.partition(f"[tool.poe.tasks.{task}]")[2].partition("\n[")[0]
    assert section
    assert "help = " in section


@pytest.mark.parametrize("line", [c for c in COMMANDS if c.startswith("poe ")])
def test_every_command_parses(line):
    _, task, *options = shlex.split(line)
    section = (ROOT / "pyproject.toml").read_text().partition(f"[tool.poe.tasks.{task}]")[2].partition("\n[")[0]
    command = re.search(r'cmd = "python optuna_optimization\.py ?(.*)"', section)
    assert command, task
    words = [*shlex.split(command[1]), *options]
    parser, names = _parser()
    parser.parse_args(words if words[0] in names else ["run", *words])


@pytest.mark.parametrize("target", sorted({c.split()[1] for c in COMMANDS if c.startswith("make ")}))
def test_every_make_target_exists(target):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.M)


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`((?:config|benchmarks|docs)/[\w/.-]+)`", README))))
def test_every_file_named_exists(path):
    assert (ROOT / path).exists()


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(((?!https?:)[^)]+)\)", README))))
def test_every_link_leads_somewhere(link):
    assert (ROOT / link).exists()


def test_the_tree_is_the_tree():
    tree = README.partition("## The code, from the top")[2].partition("```\n")[2].partition("```")[0]
    named = [line.split()[0] for line in tree.splitlines()]
    assert all((ROOT / name).exists() for name in named)
    packages = {f"fxai/{p.name}/" for p in (ROOT / "fxai").iterdir() if (p / "__init__.py").exists()}
    assert packages <= set(named)
