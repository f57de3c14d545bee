"""The way in: `python optuna_optimization.py --spec config/optuna/demo.yaml`; `--help` lists the rest."""

import sys

from fxai.cli import main

if __name__ == "__main__":  # worker processes import this file too
    sys.exit(main())
