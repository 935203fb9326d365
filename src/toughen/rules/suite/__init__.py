"""Owns suite."""
