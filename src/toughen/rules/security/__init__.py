"""Owns security."""
