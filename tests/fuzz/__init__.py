"""Fuzzing: every decoder of bytes that somebody else wrote, and ways to feed it with what nobody thought of.

A *target* is a decoder with the errors that it declares; anything else that it raises is a bug. `make fuzz` looks for
such bugs with a fuzzer that watches which code it reaches (atheris); the unit tests feed every target its seeds, the
inputs under ``corpus/`` that once broke it, and some damaged copies of both, the same ones each time.
"""
