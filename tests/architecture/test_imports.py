"""Imports point one way (small tools → config → market → … → cli), and the heavy libraries stay where they are used."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "fxai"

ORDER = (
    ("defaults", "errors", "files", "secrets", "yaml_strict"),
    ("config",),
    ("market",),
    ("env",),
    ("agent",),
    ("evaluate",),
    ("study",),
    ("report",),
    ("tracking",),
    ("dashboard",),
    ("commands", "cli"),
)
RANK = {name: rank for rank, names in enumerate(ORDER) for name in names}

OPTUNA_FREE = ("defaults", "errors", "files", "secrets", "yaml_strict", "config", "market", "env", "agent", "evaluate")


def modules() -> list[Path]:
    return sorted(p for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py")


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module or "")
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_package_imports_only_from_its_left(path):
    own = RANK[part_of(path)]
    for name in imported(path):
        if name.startswith("fxai.") and name.split(".")[1] in RANK:
            assert RANK[name.split(".")[1]] <= own, f"{path.relative_to(ROOT)} imports {name}"


def test_every_package_has_its_place_in_the_order():
    assert {part_of(p) for p in modules()} <= set(RANK)


@pytest.mark.parametrize("path", [p for p in modules() if part_of(p) in OPTUNA_FREE], ids=str)
def test_the_agent_and_all_below_it_know_nothing_of_optuna(path):
    assert not {n for n in imported(path) if n.split(".")[0] in ("optuna", "wandb", "plotly")}


@pytest.mark.parametrize(
    "module",
    [
        "fxai.cli",
        "fxai.commands.study",
        "fxai.study.spec",
        "fxai.study.launch",
        "fxai.report.summary",
        "fxai.report.results",
    ],
)
def test_nothing_that_answers_at_once_imports_torch(module):
    code = f"import sys, {module}; print([m for m in ('torch', 'plotly', 'wandb', 'pandas') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_importing_the_package_has_no_effect():
    code = "import sys; before = set(sys.modules); import fxai; print(sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['fxai']"
