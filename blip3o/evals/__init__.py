"""Questions and scoring: what a model can do, seen through its public API alone."""
