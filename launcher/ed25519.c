#define _GNU_SOURCE
#define PY_SSIZE_T_CLEAN
#include "ed25519.h"

#include <dlfcn.h>
#include <stdbool.h>

/*
 * Ed25519 by libcrypto, which is in the image for Python's ssl module.
 *
 * Why not a Python package: the one that everybody uses costs PID 1 half a second of every boot and 17 MB of memory for
 * two functions. Why dlopen: this program is also wrapperd, which starts every child of the node and should not wait for
 * the dynamic linker to bring a library in that it never calls.
 *
 * The types and numbers below are libcrypto's public interface (EVP_PKEY, EVP_DigestSign; OpenSSL 3).
 */

enum { SEED = 32, PUBLIC = 32, SIGNATURE = 64, ID_ED25519 = 1087 };

typedef struct evp_pkey_st EVP_PKEY;
typedef struct evp_md_ctx_st EVP_MD_CTX;

static struct {
	EVP_PKEY *(*new_private)(int type, void *engine, const unsigned char *key, size_t length);
	int (*get_public)(const EVP_PKEY *key, unsigned char *out, size_t *length);
	void (*free_key)(EVP_PKEY *key);
	EVP_MD_CTX *(*new_context)(void);
	void (*free_context)(EVP_MD_CTX *context);
	int (*sign_init)(EVP_MD_CTX *context, void *pctx, const void *type, void *engine, EVP_PKEY *key);
	int (*sign)(EVP_MD_CTX *context, unsigned char *out, size_t *length, const unsigned char *data, size_t size);
} crypto;

static bool load_crypto(void)
{
	static void *library;
	if (library != NULL)
		return true;
	void *handle = dlopen("libcrypto.so.3", RTLD_NOW | RTLD_LOCAL);
	if (handle == NULL) {
		PyErr_Format(PyExc_OSError, "Ed25519 needs libcrypto: %s", dlerror());
		return false;
	}
	const struct {
		const char *name;
		void *place;
	} wanted[] = {
		{"EVP_PKEY_new_raw_private_key", &crypto.new_private},
		{"EVP_PKEY_get_raw_public_key", &crypto.get_public},
		{"EVP_PKEY_free", &crypto.free_key},
		{"EVP_MD_CTX_new", &crypto.new_context},
		{"EVP_MD_CTX_free", &crypto.free_context},
		{"EVP_DigestSignInit", &crypto.sign_init},
		{"EVP_DigestSign", &crypto.sign},
	};
	for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
		void *found = dlsym(handle, wanted[i].name);
		if (found == NULL) {
			PyErr_Format(PyExc_OSError, "libcrypto lacks %s", wanted[i].name);
			dlclose(handle);
			return false;
		}
		memcpy(wanted[i].place, &found, sizeof found);
	}
	library = handle;
	return true;
}

static EVP_PKEY *load_key(const Py_buffer *seed)
{
	if (!load_crypto())
		return NULL;
	if (seed->len != SEED) {
		PyErr_Format(PyExc_ValueError, "an Ed25519 seed has %d bytes, not %zd", SEED, seed->len);
		return NULL;
	}
	EVP_PKEY *key = crypto.new_private(ID_ED25519, NULL, seed->buf, SEED);
	if (key == NULL)
		PyErr_SetString(PyExc_OSError, "libcrypto refuses the key");
	return key;
}

PyObject *dozen_ed25519_public_key(PyObject *Py_UNUSED(module), PyObject *args)
{
	Py_buffer seed;
	if (!PyArg_ParseTuple(args, "y*:ed25519_public_key", &seed))
		return NULL;
	PyObject *result = NULL;
	EVP_PKEY *key = load_key(&seed);
	if (key != NULL) {
		unsigned char out[PUBLIC];
		size_t length = sizeof out;
		if (crypto.get_public(key, out, &length) == 1)
			result = PyBytes_FromStringAndSize((const char *)out, (Py_ssize_t)length);
		else
			PyErr_SetString(PyExc_OSError, "libcrypto gives no public key");
		crypto.free_key(key);
	}
	PyBuffer_Release(&seed);
	return result;
}

PyObject *dozen_ed25519_sign(PyObject *Py_UNUSED(module), PyObject *args)
{
	Py_buffer seed, message;
	if (!PyArg_ParseTuple(args, "y*y*:ed25519_sign", &seed, &message))
		return NULL;
	PyObject *result = NULL;
	EVP_PKEY *key = load_key(&seed);
	EVP_MD_CTX *context = key != NULL ? crypto.new_context() : NULL;
	if (key != NULL) {
		unsigned char out[SIGNATURE];
		size_t length = sizeof out;
		if (context != NULL && crypto.sign_init(context, NULL, NULL, NULL, key) == 1
		    && crypto.sign(context, out, &length, message.buf, (size_t)message.len) == 1)
			result = PyBytes_FromStringAndSize((const char *)out, (Py_ssize_t)length);
		else
			PyErr_SetString(PyExc_OSError, "libcrypto does not sign");
		if (context != NULL)
			crypto.free_context(context);
		crypto.free_key(key);
	}
	PyBuffer_Release(&seed);
	PyBuffer_Release(&message);
	return result;
}
