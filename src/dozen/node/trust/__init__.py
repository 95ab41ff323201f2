"""How a node without an authority's key gets its certificate: asking for it, and signing it."""
