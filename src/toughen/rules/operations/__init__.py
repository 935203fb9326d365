"""Owns operations."""
