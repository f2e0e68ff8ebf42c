"""Pipelines as resources of a cluster: each becomes a pod that watches it, as `charts/pipeline` makes one."""
