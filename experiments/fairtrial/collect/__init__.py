"""The evidence collector: live requests and answers joined, with what was later known of them."""
