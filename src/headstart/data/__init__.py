"""Readers, splits and checks: what a person has, as one Dataset."""
