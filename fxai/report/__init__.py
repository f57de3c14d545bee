"""What a study leaves for people: results, plots, terminal views."""
