"""Helpers are imported by name: `harness` from here, `fakes` from tests/study."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent / "study")]
