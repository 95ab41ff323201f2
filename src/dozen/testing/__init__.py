"""Fakes and clocks for tests; products never import it."""
