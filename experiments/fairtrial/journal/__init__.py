"""The journal of a run: what was meant, what was done, and what was decided, in order."""
