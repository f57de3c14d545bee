"""Where things are when nobody says otherwise."""

from __future__ import annotations

STORAGE = "sqlite:///optuna_studies.db"
RESULTS = "optuna_results"
DASHBOARD_PORT = 8052
