"""Guards against forgetting: penalties, replay, interpolation, and how much was lost."""
