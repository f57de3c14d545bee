"""How an editable install finds the package."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_an_editable_install_is_a_plain_path(tmp_path):
    """A finder of setuptools would come after the working directory: in the folder that holds a clone named `fxai`,
    `import fxai.env` would look into the clone instead of the package."""
    pytest.importorskip("setuptools", minversion="77")
    clone = tmp_path / "fxai"
    for folder in ("fxai", "fxai/env"):
        (clone / folder).mkdir(parents=True)
        shutil.copy(ROOT / folder / "__init__.py", clone / folder)
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, clone)
    build = "from setuptools.build_meta import build_editable; build_editable('..')"
    subprocess.run([sys.executable, "-c", build], cwd=clone, check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        installed = [name for name in archive.namelist() if ".dist-info/" not in name]
        assert len(installed) == 1
        assert installed[0].endswith(".pth")
        assert archive.read(installed[0]).decode().strip() == str(clone)
