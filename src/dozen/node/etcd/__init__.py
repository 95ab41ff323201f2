"""etcd as this node runs it: its command line, our client of its API, and how its member comes, stays and goes."""
