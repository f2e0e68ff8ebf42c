"""Statistics that stay valid however often you look: pure functions of numpy arrays.

Every score is the standardised evidence for one one-sided claim "parameter beyond margin": the larger
`z`, the stronger. A boundary says how large `z` must be at this look. Nothing here knows of experiments,
files or time; arrays with a stratum axis (segment x time batch) come in, numbers go out.
"""
