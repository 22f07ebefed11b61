"""What the searches found, trained on fresh seeds, compared, and written down."""
