"""Notifications: who is told of a run's turns, and how."""
