"""What a trained agent is worth: backtests, metrics, baselines."""
