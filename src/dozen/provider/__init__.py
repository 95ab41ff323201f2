"""Starts machines behind one Protocol."""
