"""Batch scoring: the rows of a file or table through a model, with no server in between."""
