/* _dozen: the system calls that Python's os module lacks, built into the launcher. Typed in dozen/linux/_dozen.pyi. */
#ifndef DOZEN_MODULE_H
#define DOZEN_MODULE_H

#include <Python.h>

PyMODINIT_FUNC PyInit__dozen(void);

#endif
