"""Where the version in service runs."""
