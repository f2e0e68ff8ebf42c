"""From a request to its answer: what comes over REST and gRPC, checked, batched, cached, and sent back."""
