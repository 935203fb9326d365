"""Owns hardening: mends are tried one at a time, and kept only if they survive the order of trust."""
