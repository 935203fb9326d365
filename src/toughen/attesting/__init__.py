"""Owns attestations: what a run says of a source, signed, with the evidence that a third party executes again."""
