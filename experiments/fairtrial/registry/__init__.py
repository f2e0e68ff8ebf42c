"""Model registries: where the version that won is made known."""
