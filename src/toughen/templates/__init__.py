"""Owns templates."""
