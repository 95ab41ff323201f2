/* ed25519_public_key(seed) and ed25519_sign(seed, message) of the module _dozen. RFC 8032: 32-byte seeds are the keys. */
#ifndef DOZEN_ED25519_H
#define DOZEN_ED25519_H

#include <Python.h>

PyObject *dozen_ed25519_public_key(PyObject *module, PyObject *args);
PyObject *dozen_ed25519_sign(PyObject *module, PyObject *args);

#endif
