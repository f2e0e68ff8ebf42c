"""Components for Seldon inference graphs (protocol `seldon`), each a class that seldon-core-microservice
starts."""
