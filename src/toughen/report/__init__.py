"""Owns report."""
