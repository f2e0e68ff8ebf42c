"""What a person sees of a run while it runs: a live view in a terminal, plain lines elsewhere."""
