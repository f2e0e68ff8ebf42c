"""What the components compute: pure, on numpy and the standard library, with nothing of Seldon's."""
