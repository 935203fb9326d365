"""Owns explore."""
