"""The programs that a node runs, as data, and the supervisor that keeps them running."""
