"""What a run was worth, for a person: one page and one model card, made from a record and never from weights."""
