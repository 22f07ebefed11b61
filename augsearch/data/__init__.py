"""Data sets: read, split, checked, and prepared for training."""
