"""Training one network, or several as one, and what comes of it."""
