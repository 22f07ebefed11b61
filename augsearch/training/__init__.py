"""Training one network, or several as one, and what comes of it."""

ALGORITHM_VERSION = 2
"""Another number for every change that moves a training's numbers: it is part of every key, so that no result is taken for
that of another algorithm. tests/golden/ fails when numbers move without one."""
