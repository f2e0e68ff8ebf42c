"""Those who follow a run by its journal, and are no part of it: who is notified, where it is tracked."""
