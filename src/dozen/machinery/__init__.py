"""The shared vocabulary of every other room; does no I/O."""
