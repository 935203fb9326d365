"""Owns the audit of authorization: every route asked by every kind of user, and what follows from it."""
