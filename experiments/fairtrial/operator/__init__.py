"""The Kubernetes operator: runs Experiment resources, and writes how they stand into their status."""
