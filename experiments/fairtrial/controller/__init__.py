"""The controller: the only place where an experiment has effects, each of them journalled."""
