"""The pipeline file: which registry, which triggers, how a version is tried and where it serves."""
