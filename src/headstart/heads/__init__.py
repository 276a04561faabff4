"""Heads on pooled features and what they are measured by: linear models, metrics, baselines."""
