"""Measures what toughen promises about its own speed: `make bench`."""
