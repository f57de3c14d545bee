"""What the commands do; `fxai.cli` reads their arguments. Each module is imported when its command runs."""
