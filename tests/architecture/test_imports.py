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
    ("arrays", "defaults", "errors", "files", "secrets", "yaml_strict"),
    ("config",),
    ("market.reading",),
    ("market",),
    ("env",),
    ("agent",),
    ("evaluate",),
    ("study",),
    ("study.workers",),
    ("report",),
    ("tracking",),
    ("dashboard",),
    ("doctor",),
    ("commands", "cli"),
)
RANK = {name: rank for rank, names in enumerate(ORDER) for name in names}

OPTUNA_FREE = {part for parts in ORDER[: RANK["evaluate"] + 1] for part in parts}


def modules() -> list[Path]:
    return sorted(p for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py")


def place_of(name: str) -> str:
    """The entry of ORDER that a module, `fxai.…`, belongs to; its own first word where there is none."""
    words = name.split(".")[1:]
    return next((part for n in (2, 1) if (part := ".".join(words[:n])) in RANK), words[0])


def part_of(path: Path) -> str:
    return place_of(".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts))


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
        if name.startswith("fxai.") and place_of(name) in RANK:
            assert RANK[place_of(name)] <= own, f"{path.relative_to(ROOT)} imports {name}"


def test_every_package_has_its_place_in_the_order():
    assert {part_of(p) for p in modules()} <= set(RANK)


@pytest.mark.parametrize("path", [p for p in modules() if part_of(p) in OPTUNA_FREE], ids=str)
def test_the_agent_and_all_below_it_know_nothing_of_optuna(path):
    assert not {n for n in imported(path) if n.split(".")[0] in ("optuna", "wandb", "plotly")}


@pytest.mark.parametrize(
    "module",
    [
        "fxai.cli",
        "fxai.commands.run",
        "fxai.study.spec",
        "fxai.study.workers.launch",
        "fxai.report.summary",
        "fxai.report.results",
    ],
)
def test_nothing_that_answers_at_once_imports_torch(module):
    code = f"import sys, {module}; print([m for m in ('torch', 'plotly', 'wandb', 'pandas') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "module", ["fxai.cli", "fxai.commands.run", "fxai.commands.study", "fxai.commands.status", "fxai.commands.best"]
)
def test_what_answers_beside_ten_thousand_trials_imports_no_optuna(module):
    # importing it takes longer than the answer may
    code = f"import sys, {module}; print([m for m in ('optuna', 'sqlalchemy', 'numpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_importing_the_package_has_no_effect():
    code = "import sys; before = set(sys.modules); import fxai; print(sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['fxai']"
