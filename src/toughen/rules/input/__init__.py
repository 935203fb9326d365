"""Owns input."""
