"""Owns whole sample backends that rules' examples are made of, grouped by what happens in them."""
