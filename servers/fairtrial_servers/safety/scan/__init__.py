"""Is this file safe to load? What it holds is examined, layer by layer, and none of it is loaded.

`survey.scan` goes through a file or folder; each other module knows one kind of content. A check is a
generator `check(content)` that yields objections, and the files that were packed in the one it was given.
It needs no library that would load the model.
"""
