"""A study: spec, search space, storage, workers."""
