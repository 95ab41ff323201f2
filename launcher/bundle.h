/* Bundles: the bytecode of many modules in one file, and the importer that reads it.
 *
 * A node imports some 250 modules before it answers for the first time. As files of their own each costs a search of
 * three directories, an open, checks and a read; as a part of a bundle it costs one read. dozen/compose/bundle.py writes
 * bundles, one for each package, into the first two sealed directories; its docstring gives the format.
 */
#ifndef DOZEN_BUNDLE_H
#define DOZEN_BUNDLE_H

#include <Python.h>
#include <stdbool.h>

/* Before Py_InitializeFromConfig: opens the bundles and sets aside the modules that the interpreter itself starts with.
 * When it cannot, *reason says why in one sentence (static storage). */
bool bundle_open(const char **reason);

/* After it and before seal_close(): puts the importer in front of all others. -1 with an exception set. */
int bundle_install(void);

#endif
