"""How often this very setup, model, data and load, would err: measured, not assumed."""
