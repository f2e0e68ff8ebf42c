"""Whether a model file can be loaded without running code of its author's choice."""
