"""The Kubernetes backend: a SeldonDeployment on a cluster that runs Seldon Core 1.x."""
