"""From an experiment to what is to be deployed, sent and judged. Pure, but for counting the data's rows."""
