"""What leaves this machine while a study runs, and when it ends: W&B runs, notifications. Never fatal to a study."""
