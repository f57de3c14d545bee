"""FxAI tunes PPO trading agents with Optuna; the study spec is the interface, `optuna_optimization.py` the way in."""

__version__ = "0.1.0"
