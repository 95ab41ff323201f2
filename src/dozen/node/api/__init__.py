"""The machine API: one module per theme, each with a `register(router, machine)`."""
