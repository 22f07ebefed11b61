"""The user's own training script in place of this project's trainer."""
