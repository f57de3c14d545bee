"""Carry the best settings of one phase to the next: `scripts/transfer_best_params.py --from-phase 1 --to-phase 2`.

The same as `optuna_optimization.py transfer`; `--help` lists the options.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fxai.cli import main

if __name__ == "__main__":
    sys.exit(main(["transfer", *sys.argv[1:]]))
