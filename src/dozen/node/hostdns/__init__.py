"""The node's own DNS server: it forwards questions, remembers answers, and knows the cluster's members."""
