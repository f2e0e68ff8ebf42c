"""DAGs that run as they are."""
