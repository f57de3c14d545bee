"""Optuna's dashboard for FxAI's studies: behind a guard, with a note and the files of every trial."""
