"""Where figures of a run are kept beside its own folder."""
