"""How an editable install finds the package, and what Poetry and uv make of pyproject.toml."""

from __future__ import annotations

import os
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


def test_poetry_reads_the_metadata():
    pytest.importorskip("poetry.core")
    from poetry.core.factory import Factory

    poetry = Factory().create_poetry(ROOT)
    told = Factory.validate(poetry.pyproject.data, strict=True)
    assert told == {"errors": [], "warnings": []}
    package = poetry.package
    assert package.name == "fxai"
    assert {"optuna", "optuna-dashboard", "torch", "pyyaml", "rich", "wandb", "plotly", "poethepoet"} <= {
        dependency.name for dependency in package.requires
    }


def test_uv_runs_a_task_in_the_environment_that_is_there():
    """Without `managed = false` it would first resolve and install one of its own, the CUDA build of torch in it."""
    uv = pytest.importorskip("uv")
    command = [uv.find_uv_bin(), "run", "--offline", "--python", sys.executable, "poe", "optuna-status", "--help"]
    environment = {**os.environ, "VIRTUAL_ENV": sys.prefix, "PATH": f"{Path(sys.prefix) / 'bin'}:{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--storage URL" in done.stdout
    assert not (ROOT / "uv.lock").exists()
