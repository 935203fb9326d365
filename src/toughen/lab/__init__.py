"""Owns the app under attack: its environment, sandbox, processes, snapshots, and the trials run on it."""
