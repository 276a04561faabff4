"""Ways beside each other: arms, budgets of labels and seeds as independent units of work on disk."""
