"""Classical tests for evidence that is judged once, at the horizon.

Each answers one one-sided claim, "candidate beyond the margin", with a p-value that is valid only if it is
computed once; intervals are two-sided, each end at half of 1 - level.
"""
