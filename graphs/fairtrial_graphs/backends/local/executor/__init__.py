"""Answers for one predictor's inference graph, as the executor of Seldon Core 1.17.1 does."""
