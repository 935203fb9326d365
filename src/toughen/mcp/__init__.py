"""Owns the server that coding agents use: they write, toughen decides."""
