"""Where a router's counts are kept, so that they survive it and several replicas share them."""
