"""Everything that must hold before a change is committed: format, lint, types, tests."""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys

STEPS = ("ruff format --check", "ruff check", "mypy", "pytest -n auto")


def main() -> int:
    """Run the steps up to the first that fails; its exit code is returned."""
    parser = argparse.ArgumentParser(description=f"{__doc__} In turn: {', then '.join(STEPS)}.")
    parser.parse_args()
    for step in STEPS:
        code = subprocess.run([sys.executable, "-m", *shlex.split(step)], check=False).returncode
        if code:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
