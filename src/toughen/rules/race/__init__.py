"""Owns race."""
