"""How far a target's data are from what a source saw, and of what kind the mismatch is: distances on arrays."""
