"""Penalties that make a network fit for rows without labels; each sees them as a set beside the training examples."""
