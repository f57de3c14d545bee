"""What is wrong on this machine and with these studies, and what mends it."""
