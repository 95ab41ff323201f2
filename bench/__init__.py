"""Measures this system beside a Debian 13 minimal one, and what its parts can do natively; `make bench` runs it.

The benchmark reports and never fails a test. Everything that is compared runs in one session on one machine, with the
same kernel, the same emulator and the same flags, one after the other. `debian` builds the system that we compare with,
`boots` starts machines and takes their times, `parts` measures what needs no machine, `page` writes docs/benchmarks.md.
"""
