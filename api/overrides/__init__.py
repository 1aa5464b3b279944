"""Overrides: what a person publishes in place of the system's forecast, which stays as it is beside it."""
