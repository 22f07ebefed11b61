"""Searchers, the spaces they search, and the loop that runs them."""

ALGORITHM_VERSION = 2
"""Another number for every change that moves the proposals of a searcher. Results of trials are stored under what was
trained, not under who proposed it, so that none is lost."""
