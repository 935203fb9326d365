"""Owns failure."""
