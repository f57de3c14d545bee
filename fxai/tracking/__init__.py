"""Experiment trackers; never fatal to a trial."""
