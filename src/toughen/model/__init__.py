"""The nouns of toughen: frozen dataclasses without I/O, one module for each family."""
