"""Images and artifacts with a model in them, by the OCI's image and distribution specifications."""
