"""What a CI server shows of a run: one module for each format."""
