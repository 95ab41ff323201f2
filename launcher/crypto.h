/*
 * Keys and signatures, for the module _dozen. RFC 8032: 32-byte seeds are the Ed25519 keys; every other key is DER as it
 * stands in PEM files: PKCS#8, or the older forms of EC (SEC 1) and RSA (PKCS#1) keys.
 */
#ifndef DOZEN_CRYPTO_H
#define DOZEN_CRYPTO_H

#include <Python.h>

PyObject *dozen_ed25519_public_key(PyObject *module, PyObject *args);
PyObject *dozen_ed25519_sign(PyObject *module, PyObject *args);
PyObject *dozen_key_generate(PyObject *module, PyObject *args);
PyObject *dozen_key_public(PyObject *module, PyObject *args);
PyObject *dozen_key_sign(PyObject *module, PyObject *args);

#endif
