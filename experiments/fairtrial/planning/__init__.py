"""From an experiment to what is to be deployed, sent and judged. Pure, but for reading the data's row count."""
