"""Evidence: the searches' choices, trained on fresh seeds, compared and reported."""
