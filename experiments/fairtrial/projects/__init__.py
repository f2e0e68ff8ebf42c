"""Example projects: templates for `fairtrial init` and `fairtrial demo`, one folder each.

`better` is whole; the others hold only the files in which they differ from it.
"""
