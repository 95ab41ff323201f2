"""A typed connection to nodes; prints nothing.

`connection.Connection` carries calls to the nodes behind a context's endpoints; `machine.Node` has the machine API's
calls for one node; `state` reads and watches resources; `tracker` follows a reboot or a shutdown to its end; `images`
moves container images and runs debug containers.
"""
