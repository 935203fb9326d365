"""Owns the holding of gates: what changed, what is known, what is waived, and what they look at."""
