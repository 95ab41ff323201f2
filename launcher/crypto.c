#define _GNU_SOURCE
#define PY_SSIZE_T_CLEAN
#include "crypto.h"

#include <dlfcn.h>
#include <stdbool.h>

/*
 * Keys and signatures by libcrypto, which is in the image for Python's ssl module: Ed25519 for the machine API, ECDSA with
 * P-256 for the certificates that the node makes for Kubernetes, and RSA because people bring authorities of their own.
 *
 * Why not a Python package: the one that everybody uses costs PID 1 half a second of every boot and 17 MB of memory for
 * a handful of functions. Why dlopen: this program is also wrapperd, which starts every child of the node and should not wait for
 * the dynamic linker to bring a library in that it never calls.
 *
 * The types and numbers below are libcrypto's public interface (EVP_PKEY, EVP_DigestSign, d2i and i2d; OpenSSL 3).
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
	const void *(*sha256)(void);
	EVP_PKEY *(*generate)(void *context, const char *query, const char *type, ...);
	EVP_PKEY *(*read_private)(EVP_PKEY **key, const unsigned char **data, long size);
	int (*write_private)(const EVP_PKEY *key, unsigned char **out);
	int (*write_public)(const EVP_PKEY *key, unsigned char **out);
	int (*type_of)(const EVP_PKEY *key);
	void (*clear_errors)(void);
} crypto;

static bool load_crypto(void)
{
	static void *library;
	if (library != NULL)
		return true;
	void *handle = dlopen("libcrypto.so.3", RTLD_NOW | RTLD_LOCAL);
	if (handle == NULL) {
		PyErr_Format(PyExc_OSError, "signing needs libcrypto: %s", dlerror());
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
		{"EVP_sha256", &crypto.sha256},
		{"EVP_PKEY_Q_keygen", &crypto.generate},
		{"d2i_AutoPrivateKey", &crypto.read_private},
		{"i2d_PrivateKey", &crypto.write_private},
		{"i2d_PUBKEY", &crypto.write_public},
		{"EVP_PKEY_get_base_id", &crypto.type_of},
		{"ERR_clear_error", &crypto.clear_errors},
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

/* What i2d functions write, as bytes: they are asked for the size first. */
static PyObject *encode(int (*write)(const EVP_PKEY *key, unsigned char **out), const EVP_PKEY *key)
{
	int size = write(key, NULL);
	PyObject *result = size > 0 ? PyBytes_FromStringAndSize(NULL, size) : NULL;
	if (result != NULL) {
		unsigned char *out = (unsigned char *)PyBytes_AS_STRING(result);
		if (write(key, &out) == size)
			return result;
		Py_CLEAR(result);
	}
	if (!PyErr_Occurred())
		PyErr_SetString(PyExc_OSError, "libcrypto does not encode the key");
	return NULL;
}

static EVP_PKEY *read_key(const Py_buffer *data)
{
	if (!load_crypto())
		return NULL;
	const unsigned char *at = data->buf;
	EVP_PKEY *key = crypto.read_private(NULL, &at, (long)data->len);
	if (key == NULL) {
		crypto.clear_errors();
		PyErr_SetString(PyExc_ValueError, "this is not a private key of a kind that is known");
	}
	return key;
}

PyObject *dozen_key_generate(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(args))
{
	if (!load_crypto())
		return NULL;
	EVP_PKEY *key = crypto.generate(NULL, NULL, "EC", "P-256");
	if (key == NULL)
		return PyErr_Format(PyExc_OSError, "libcrypto makes no key");
	PyObject *result = encode(crypto.write_private, key);
	crypto.free_key(key);
	return result;
}

PyObject *dozen_key_public(PyObject *Py_UNUSED(module), PyObject *args)
{
	Py_buffer data;
	if (!PyArg_ParseTuple(args, "y*:key_public", &data))
		return NULL;
	EVP_PKEY *key = read_key(&data);
	PyObject *result = key != NULL ? encode(crypto.write_public, key) : NULL;
	if (key != NULL)
		crypto.free_key(key);
	PyBuffer_Release(&data);
	return result;
}

/* Ed25519 hashes by itself; the others sign a SHA-256. The size of a signature is asked for first: ECDSA's varies. */
static PyObject *sign_with(EVP_PKEY *key, const Py_buffer *message)
{
	EVP_MD_CTX *context = crypto.new_context();
	const void *digest = crypto.type_of(key) == ID_ED25519 ? NULL : crypto.sha256();
	PyObject *result = NULL;
	size_t length = 0;
	if (context != NULL && crypto.sign_init(context, NULL, digest, NULL, key) == 1
	    && crypto.sign(context, NULL, &length, message->buf, (size_t)message->len) == 1)
		result = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)length);
	if (result != NULL) {
		unsigned char *out = (unsigned char *)PyBytes_AS_STRING(result);
		if (crypto.sign(context, out, &length, message->buf, (size_t)message->len) == 1)
			_PyBytes_Resize(&result, (Py_ssize_t)length);
		else
			Py_CLEAR(result);
	}
	if (context != NULL)
		crypto.free_context(context);
	if (result == NULL && !PyErr_Occurred()) {
		crypto.clear_errors();
		PyErr_SetString(PyExc_OSError, "libcrypto does not sign");
	}
	return result;
}

PyObject *dozen_key_sign(PyObject *Py_UNUSED(module), PyObject *args)
{
	Py_buffer data, message;
	if (!PyArg_ParseTuple(args, "y*y*:key_sign", &data, &message))
		return NULL;
	EVP_PKEY *key = read_key(&data);
	PyObject *result = key != NULL ? sign_with(key, &message) : NULL;
	if (key != NULL)
		crypto.free_key(key);
	PyBuffer_Release(&data);
	PyBuffer_Release(&message);
	return result;
}
