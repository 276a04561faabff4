"""What a user can do, one file per verb; the command line is made from these functions."""
