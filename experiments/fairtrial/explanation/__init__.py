"""Why a run ended as it did, what would have changed it, and where the candidate loses. All pure."""
