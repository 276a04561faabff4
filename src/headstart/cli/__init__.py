"""The command line: made from the verbs."""
