#define _GNU_SOURCE
#define PY_SSIZE_T_CLEAN
#include "bundle.h"

#include "seal.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	BUNDLES_MAX = 32,
	INDEX_MAX = 4 << 20,
};

#define MAGIC "DOZENPY1"
#define SUFFIX ".bundle"
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* As in the file, little-endian: the header, then the entries in the order of their names, then the names. */
struct header {
	char magic[8];
	uint32_t count, index_size; /* the index is everything before the code */
};

struct entry {
	uint32_t name, package; /* name: offset in the file of text that ends with a zero byte */
	uint32_t code, size;    /* code: offset in the file; no code at all for a package without an __init__ */
};

struct bundle {
	int fd;
	char *directory, *path, *index;
	uint32_t count, size;
};

/* The directories that bundles are in; the modules of one are found as if they lay there as files. */
static const char *const DIRECTORIES[] = {"/usr/lib/dozen", "/usr/lib/python3.13"};

/* Imported by the interpreter before it knows of any importer but its own; only as frozen modules can it find them. */
static const char *const FIRST[] = {"encodings", "encodings.aliases", "encodings.utf_8"};

static struct bundle bundles[BUNDLES_MAX];
static size_t bundle_count;
static struct _frozen first[COUNT(FIRST) + 1];
static PyObject *spec_class;

/* ---- Bundles as files ---- */

static bool read_at(const struct bundle *bundle, void *target, size_t size, off_t offset)
{
	size_t have = 0;
	while (have < size) {
		ssize_t got = pread(bundle->fd, (char *)target + have, size - have, offset + (off_t)have);
		if (got == 0)
			errno = EIO;
		if (got <= 0 && errno != EINTR)
			return false;
		have += got > 0 ? (size_t)got : 0;
	}
	return true;
}

static const struct entry *entries_of(const struct bundle *bundle)
{
	return (const struct entry *)(const void *)(bundle->index + sizeof(struct header));
}

/* Whether all that the index points to is in the file: what is looked up later is then used without a check. */
static bool index_is_sound(const struct bundle *bundle, const struct header *header, off_t size)
{
	if (sizeof *header + (uint64_t)header->count * sizeof(struct entry) > header->index_size ||
	    bundle->index[header->index_size - 1] != '\0')
		return false;
	const struct entry *entries = entries_of(bundle);
	for (uint32_t i = 0; i < header->count; i++) {
		if (entries[i].name >= header->index_size || (uint64_t)entries[i].code + entries[i].size > (uint64_t)size)
			return false;
	}
	return true;
}

static const char *load_index(struct bundle *bundle, off_t size)
{
	struct header header;
	if (size < (off_t)sizeof header || !read_at(bundle, &header, sizeof header, 0))
		return "cannot be read";
	if (memcmp(header.magic, MAGIC, sizeof header.magic) != 0 || header.index_size > INDEX_MAX ||
	    header.index_size > (uint64_t)size || header.index_size <= sizeof header)
		return "is no bundle";
	bundle->index = malloc(header.index_size);
	if (bundle->index == NULL || !read_at(bundle, bundle->index, header.index_size, 0))
		return "cannot be read";
	bundle->count = header.count;
	bundle->size = header.index_size;
	return index_is_sound(bundle, &header, size) ? NULL : "is damaged";
}

static const char *add_bundle(const char *directory, const char *name)
{
	struct bundle *bundle = &bundles[bundle_count];
	struct stat about;
	if (bundle_count == BUNDLES_MAX)
		return "is one too many";
	if (asprintf(&bundle->path, "%s/%s", directory, name) < 0 || (bundle->directory = strdup(directory)) == NULL)
		return "finds no memory";
	const char *fault = NULL;
	bundle->fd = seal_open(bundle->path, &about, &fault);
	if (bundle->fd < 0)
		return fault;
	bundle_count++;
	return load_index(bundle, about.st_size);
}

static bool is_bundle(const char *name)
{
	size_t length = strlen(name);
	return length > strlen(SUFFIX) && strcmp(name + length - strlen(SUFFIX), SUFFIX) == 0;
}

static bool open_all(const char **reason)
{
	static char text[PATH_MAX + 64];
	for (size_t i = 0; i < COUNT(DIRECTORIES); i++) {
		DIR *stream = opendir(DIRECTORIES[i]);
		struct dirent *found;
		const char *fault = stream == NULL ? strerror(errno) : NULL;
		while (fault == NULL && (found = readdir(stream)) != NULL) {
			if (is_bundle(found->d_name) && (fault = add_bundle(DIRECTORIES[i], found->d_name)) != NULL)
				snprintf(text, sizeof text, "%s/%s %s", DIRECTORIES[i], found->d_name, fault);
		}
		if (stream != NULL)
			closedir(stream);
		if (fault != NULL) {
			*reason = stream == NULL ? fault : text;
			return false;
		}
	}
	return true;
}

static const struct entry *find(const char *name, const struct bundle **where)
{
	for (size_t i = 0; i < bundle_count; i++) {
		const struct entry *entries = entries_of(&bundles[i]);
		uint32_t low = 0, high = bundles[i].count;
		while (low < high) {
			uint32_t middle = low + (high - low) / 2;
			int order = strcmp(name, bundles[i].index + entries[middle].name);
			if (order == 0) {
				*where = &bundles[i];
				return &entries[middle];
			}
			if (order < 0)
				high = middle;
			else
				low = middle + 1;
		}
	}
	return NULL;
}

bool bundle_open(const char **reason)
{
	if (!open_all(reason))
		return false;
	size_t have = 0;
	for (size_t i = 0; i < COUNT(FIRST); i++) {
		const struct bundle *bundle;
		const struct entry *entry = find(FIRST[i], &bundle);
		unsigned char *code = entry == NULL ? NULL : malloc(entry->size);
		if (code == NULL || !read_at(bundle, code, entry->size, entry->code))
			continue; /* they may also lie in the directories as files */
		first[have++] = (struct _frozen){FIRST[i], code, (int)entry->size, (int)entry->package};
	}
	PyImport_FrozenModules = first;
	return true;
}

/* ---- The importer: finder and loader in one object ---- */

static PyObject *file_of(const struct bundle *bundle, const struct entry *entry, bool folder)
{
	char path[PATH_MAX];
	size_t start = strlen(bundle->directory) + 1;
	int length = snprintf(path, sizeof path, "%s/%s", bundle->directory, bundle->index + entry->name);
	if (length < 0 || (size_t)length >= sizeof path - sizeof "/__init__.pyc")
		return PyErr_Format(PyExc_ImportError, "the name of a module is too long");
	for (char *at = path + start; *at != '\0'; at++)
		if (*at == '.')
			*at = '/';
	if (!folder)
		strcpy(path + length, entry->package ? "/__init__.pyc" : ".pyc");
	return PyUnicode_FromString(path);
}

static PyObject *make_spec(PyObject *self, PyObject *name, const struct bundle *bundle, const struct entry *entry)
{
	PyObject *file = file_of(bundle, entry, false);
	PyObject *arguments = file == NULL ? NULL : PyTuple_Pack(2, name, self);
	PyObject *options = file == NULL ? NULL : Py_BuildValue("{sOsi}", "origin", file, "is_package", (int)entry->package);
	PyObject *spec = arguments == NULL || options == NULL ? NULL : PyObject_Call(spec_class, arguments, options);
	int failed = spec == NULL ? -1 : PyObject_SetAttrString(spec, "has_location", Py_True);
	if (failed == 0 && entry->package) {
		/* Where the search for parts in files goes on: compiled extensions are no part of a bundle. */
		PyObject *folder = file_of(bundle, entry, true);
		PyObject *places = folder == NULL ? NULL : PyList_New(1);
		if (places != NULL)
			PyList_SET_ITEM(places, 0, folder);
		else
			Py_XDECREF(folder);
		failed = places == NULL ? -1 : PyObject_SetAttrString(spec, "submodule_search_locations", places);
		Py_XDECREF(places);
	}
	if (failed != 0)
		Py_CLEAR(spec);
	Py_XDECREF(arguments);
	Py_XDECREF(options);
	Py_XDECREF(file);
	return spec;
}

static PyObject *find_spec(PyObject *self, PyObject *args)
{
	PyObject *name, *path = NULL, *target = NULL;
	const struct bundle *bundle;
	if (!PyArg_ParseTuple(args, "U|OO:find_spec", &name, &path, &target))
		return NULL;
	const char *text = PyUnicode_AsUTF8(name);
	if (text == NULL)
		return NULL;
	const struct entry *entry = find(text, &bundle);
	if (entry == NULL)
		Py_RETURN_NONE;
	return make_spec(self, name, bundle, entry);
}

static PyObject *create_module(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(spec))
{
	Py_RETURN_NONE;
}

static PyObject *load_code(const char *name)
{
	const struct bundle *bundle;
	const struct entry *entry = find(name, &bundle);
	if (entry == NULL)
		return PyErr_Format(PyExc_ImportError, "sealed: no bundle has %s", name);
	if (!seal_still_holds(bundle->fd))
		return PyErr_Format(PyExc_ImportError, "sealed: %s is no longer on a read-only mount", bundle->path);
	PyObject *data = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)entry->size);
	PyObject *code = NULL;
	if (data != NULL && !read_at(bundle, PyBytes_AS_STRING(data), entry->size, entry->code))
		PyErr_SetFromErrnoWithFilename(PyExc_OSError, bundle->path);
	else if (data != NULL)
		code = seal_unmarshal(data);
	Py_XDECREF(data);
	return code;
}

static bool has_code(const char *name)
{
	const struct bundle *bundle;
	const struct entry *entry = find(name, &bundle);
	return entry == NULL || entry->size > 0;
}

static PyObject *exec_module(PyObject *Py_UNUSED(self), PyObject *module)
{
	PyObject *spec = PyObject_GetAttrString(module, "__spec__");
	PyObject *name = spec == NULL ? NULL : PyObject_GetAttrString(spec, "name");
	const char *text = name == NULL ? NULL : PyUnicode_AsUTF8(name);
	PyObject *space = text == NULL ? NULL : PyModule_GetDict(module);
	PyObject *code = NULL, *result = NULL;
	if (space != NULL && !has_code(text))
		result = Py_NewRef(Py_None);
	else if (space != NULL && PyDict_SetItemString(space, "__builtins__", PyEval_GetBuiltins()) == 0)
		code = load_code(text);
	if (code != NULL)
		result = PyEval_EvalCode(code, space, space);
	Py_XDECREF(code);
	Py_XDECREF(name);
	Py_XDECREF(spec);
	if (result == NULL)
		return NULL;
	Py_DECREF(result);
	Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
	{"find_spec", find_spec, METH_VARARGS, "Find a module in the bundles."},
	{"create_module", create_module, METH_O, "Leave that to the interpreter."},
	{"exec_module", exec_module, METH_O, "Run a module's code."},
	{NULL, NULL, 0, NULL},
};
static PyType_Slot slots[] = {{Py_tp_methods, methods}, {0, NULL}};
static PyType_Spec importer = {
	.name = "_dozen.BundleImporter",
	.basicsize = sizeof(PyObject),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
	.slots = slots,
};

int bundle_install(void)
{
	PyObject *finders = PySys_GetObject("meta_path");
	PyObject *machinery = PyImport_ImportModule("_frozen_importlib");
	spec_class = machinery == NULL ? NULL : PyObject_GetAttrString(machinery, "ModuleSpec");
	PyObject *type = spec_class == NULL ? NULL : PyType_FromSpec(&importer);
	PyObject *object = type == NULL ? NULL : PyType_GenericAlloc((PyTypeObject *)type, 0);
	int result = object == NULL || finders == NULL ? -1 : PyList_Insert(finders, 0, object);
	Py_XDECREF(object);
	Py_XDECREF(type);
	Py_XDECREF(machinery);
	return result;
}
