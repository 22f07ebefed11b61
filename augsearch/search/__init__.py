"""Searchers, the spaces they search, and the loop that runs them."""
