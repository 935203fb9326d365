"""Owns reports: each module renders a Verdict to text in one format, and reads `model` only."""
