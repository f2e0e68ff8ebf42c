"""Continuous delivery: from an event at the registry, or an alert, to the version in service."""
