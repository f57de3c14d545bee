"""PPO on encoded bars; everything has a population axis; knows nothing of Optuna."""
