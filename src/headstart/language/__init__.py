"""What generated language is worth: overlap with references, repetition, recall of training text, instructions kept."""
