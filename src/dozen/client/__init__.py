"""A typed connection to nodes; prints nothing."""
