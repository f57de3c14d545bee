"""The files that the project ships; a user's own specs and configs may lie beside them, and no test minds them."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]


def shipped(folder: str) -> list[Path]:
    """YAML files of a folder that git knows; all of them where there is no git checkout."""
    command = ["git", "ls-files", "--", f"{folder}/*.yaml"]
    try:
        told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        told = []
    return sorted(ROOT / name for name in told) or sorted((ROOT / folder).glob("*.yaml"))
