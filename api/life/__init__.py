"""The life of a model: which configuration serves a category, how it does, and how another takes its place."""
