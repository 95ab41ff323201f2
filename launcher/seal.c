#define _GNU_SOURCE
#define PY_SSIZE_T_CLEAN
#include "seal.h"

#include <marshal.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

extern char **environ;

const wchar_t *const sealed_search_path[SEALED_PATHS] = {
	L"/usr/lib/dozen",
	L"/usr/lib/python3.13",
	L"/usr/lib/python3.13/lib-dynload",
};

/* The same for C; a directory's parents stand before it in REAL_DIRECTORIES. */
static const char *const SEARCH_PATH[SEALED_PATHS] = {
	"/usr/lib/dozen",
	"/usr/lib/python3.13",
	"/usr/lib/python3.13/lib-dynload",
};
static const char *const REAL_DIRECTORIES[] = {
	"/", "/usr", "/usr/lib", "/usr/lib/dozen", "/usr/lib/python3.13", "/usr/lib/python3.13/lib-dynload",
};
static const char *const LIBRARY_DIRECTORIES[] = {"/usr/lib/", "/usr/lib64/", "/lib/", "/lib64/"};

/* Modules in whose functions text may become code: class generators, evaluation of annotations, and the parser. */
static const char *const COMPILERS[] = {
	"collections", "dataclasses", "typing", "inspect", "ast", "enum", "msgspec._utils",
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool closed;

/* What the importer has just read in this thread; the only bytes that marshal may turn into code. */
static _Thread_local PyObject *bytecode;
static _Thread_local char refusal[PATH_MAX + 128];

/* ---- Which files are part of the sealed image ---- */

static bool mount_is_read_only(int fd)
{
	struct statvfs about;
	return fstatvfs(fd, &about) == 0 && (about.f_flag & ST_RDONLY) != 0;
}

static bool starts_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool within_search_path(const char *path)
{
	for (size_t i = 0; i < COUNT(SEARCH_PATH); i++) {
		size_t length = strlen(SEARCH_PATH[i]);
		if (strncmp(path, SEARCH_PATH[i], length) == 0 && path[length] == '/')
			return strstr(path, "/../") == NULL;
	}
	return false;
}

static const char *directory_fault(const char *path)
{
	static char text[512];
	const char *fault = NULL;
	struct stat about;
	int fd = -1;
	if (lstat(path, &about) != 0)
		fault = strerror(errno);
	else if (!S_ISDIR(about.st_mode))
		fault = "not a real directory";
	else if (about.st_uid != 0)
		fault = "not owned by root";
	else if ((about.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		fault = "writable by others than root";
	else if ((fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) < 0)
		fault = strerror(errno);
	else if (!mount_is_read_only(fd))
		fault = "not mounted read-only";
	if (fd >= 0)
		close(fd);
	if (fault == NULL)
		return NULL;
	snprintf(text, sizeof text, "%s, where code is loaded from, is refused: %s", path, fault);
	return text;
}

bool seal_check(const char **reason)
{
	for (char **entry = environ; entry != NULL && *entry != NULL; entry++) {
		if (starts_with(*entry, "LD_") || starts_with(*entry, "GLIBC_TUNABLES")) {
			*reason = "refused: started with variables that steer the dynamic linker (LD_*, GLIBC_TUNABLES)";
			return false;
		}
	}
	for (size_t i = 0; i < COUNT(REAL_DIRECTORIES); i++) {
		const char *fault = directory_fault(REAL_DIRECTORIES[i]);
		if (fault != NULL) {
			*reason = fault;
			return false;
		}
	}
	return true;
}

int seal_open(const char *path, struct stat *about, const char **fault)
{
	int fd = -1;
	*fault = NULL;
	if (!within_search_path(path))
		*fault = "is outside of the read-only image";
	else if ((fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)) < 0 || fstat(fd, about) != 0)
		*fault = "cannot be opened";
	else if (!S_ISREG(about->st_mode) || about->st_uid != 0 || !mount_is_read_only(fd))
		*fault = "is not a file of root's on a read-only mount";
	if (*fault == NULL)
		return fd;
	int error = errno;
	if (fd >= 0)
		close(fd);
	errno = error;
	return -1;
}

bool seal_still_holds(int fd)
{
	return mount_is_read_only(fd);
}

/* An open descriptor of a file that is code of the image, or -1 with an exception set. */
static int open_sealed(const char *path, struct stat *about)
{
	const char *fault;
	int fd = seal_open(path, about, &fault);
	if (fd < 0 && strcmp(fault, "cannot be opened") == 0)
		PyErr_SetFromErrnoWithFilename(PyExc_OSError, path);
	else if (fd < 0)
		PyErr_Format(PyExc_ImportError, "sealed: %s %s", path, fault);
	return fd;
}

/* ---- The importer's only way to read: loader.get_data(path) ---- */

static PyObject *read_descriptor(int fd, const char *path, size_t size)
{
	PyObject *data = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
	size_t have = 0;
	while (data != NULL && have < size) {
		ssize_t got = read(fd, PyBytes_AS_STRING(data) + have, size - have);
		if (got > 0) {
			have += (size_t)got;
		} else if (got == 0 || errno != EINTR) {
			errno = got == 0 ? EIO : errno;
			PyErr_SetFromErrnoWithFilename(PyExc_OSError, path);
			Py_CLEAR(data);
		}
	}
	return data;
}

static PyObject *seal_read(PyObject *Py_UNUSED(module), PyObject *args)
{
	PyObject *loader, *name;
	struct stat about;
	if (!PyArg_ParseTuple(args, "OU:get_data", &loader, &name))
		return NULL;
	const char *path = PyUnicode_AsUTF8(name);
	int fd = path == NULL ? -1 : open_sealed(path, &about);
	if (fd < 0)
		return NULL;
	PyObject *data = read_descriptor(fd, path, (size_t)about.st_size);
	close(fd);
	if (data != NULL)
		Py_XSETREF(bytecode, Py_NewRef(data));
	return data;
}

PyObject *seal_unmarshal(PyObject *data)
{
	Py_XSETREF(bytecode, Py_NewRef(data));
	PyObject *code = PyMarshal_ReadObjectFromString(PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data));
	Py_CLEAR(bytecode);
	if (code != NULL && !PyCode_Check(code)) {
		Py_DECREF(code);
		return PyErr_Format(PyExc_ImportError, "sealed: a bundle holds something else than code");
	}
	return code;
}

static PyObject *open_code(PyObject *name, void *Py_UNUSED(unused))
{
	struct stat about;
	const char *path = PyUnicode_AsUTF8(name);
	int fd = path == NULL ? -1 : open_sealed(path, &about);
	return fd < 0 ? NULL : PyFile_FromFd(fd, path, "rb", -1, NULL, NULL, NULL, 1);
}

/* ---- Audit events: what the running interpreter may not do (the events' arguments are in CPython's audit table) ---- */

static int refuse(const char *what)
{
	PyErr_Format(PyExc_RuntimeError, "sealed: %s", what);
	return -1;
}

/* Modules that are compiled into libpython or the launcher are unmarshalled too, and raise the same event. */
extern const struct _frozen *_PyImport_FrozenBootstrap, *_PyImport_FrozenStdlib;

static bool is_frozen(const char *code, Py_ssize_t size)
{
	const struct _frozen *const tables[] = {_PyImport_FrozenBootstrap, _PyImport_FrozenStdlib, PyImport_FrozenModules};
	for (size_t i = 0; i < COUNT(tables); i++) {
		for (const struct _frozen *entry = tables[i]; entry != NULL && entry->name != NULL; entry++)
			if (entry->size == size && memcmp(entry->code, code, (size_t)size) == 0)
				return true;
	}
	return false;
}

static int check_unmarshal(PyObject *args)
{
	PyObject *given = PyTuple_GET_SIZE(args) > 0 ? PyTuple_GET_ITEM(args, 0) : NULL;
	if (given == NULL || !PyBytes_Check(given))
		return refuse("bytecode from nowhere");
	const char *code = PyBytes_AS_STRING(given);
	Py_ssize_t size = PyBytes_GET_SIZE(given);
	bool known = false;
	if (bytecode != NULL && size <= PyBytes_GET_SIZE(bytecode)) {
		/* The importer skips the header of a .pyc, so what it unmarshals is the end of what was read. */
		const char *end = PyBytes_AS_STRING(bytecode) + PyBytes_GET_SIZE(bytecode);
		known = memcmp(end - size, code, (size_t)size) == 0;
	}
	Py_CLEAR(bytecode);
	return known || is_frozen(code, size) ? 0 : refuse("bytecode that does not come from the image");
}

static const char *calling_module(void)
{
	PyObject *globals = PyEval_GetGlobals();
	PyObject *name = globals == NULL ? NULL : PyDict_GetItemString(globals, "__name__");
	return name != NULL && PyUnicode_Check(name) ? PyUnicode_AsUTF8(name) : NULL;
}

static int check_compile(void)
{
	const char *caller = calling_module();
	for (size_t i = 0; caller != NULL && i < COUNT(COMPILERS); i++) {
		if (strcmp(caller, COMPILERS[i]) == 0)
			return 0;
	}
	return refuse("text is not turned into code here");
}

static int check_import(PyObject *args)
{
	PyObject *name, *filename, *path, *finders, *hooks;
	if (!PyArg_ParseTuple(args, "OOOOO", &name, &filename, &path, &finders, &hooks))
		return -1;
	if (PyUnicode_Check(filename)) {
		struct stat about;
		const char *file = PyUnicode_AsUTF8(filename);
		int fd = file == NULL ? -1 : open_sealed(file, &about);
		if (fd < 0)
			return -1;
		close(fd);
		return 0;
	}
	bool same = PyList_Check(path) && PyList_GET_SIZE(path) == SEALED_PATHS;
	for (Py_ssize_t i = 0; same && i < SEALED_PATHS; i++) {
		PyObject *entry = PyList_GET_ITEM(path, i);
		same = PyUnicode_Check(entry) && PyUnicode_CompareWithASCIIString(entry, SEARCH_PATH[i]) == 0;
	}
	if (same || path == Py_None)
		return 0;
	PyErr_SetString(PyExc_ImportError, "sealed: sys.path was changed");
	return -1;
}

static int audit(const char *event, PyObject *args, void *Py_UNUSED(unused))
{
	if (!closed)
		return 0;
	switch (event[0]) {
	case 'c':
		if (strcmp(event, "compile") == 0)
			return check_compile();
		if (strcmp(event, "code.__new__") == 0) {
			/* types.coroutine() re-flags an existing code object; nothing else on the node makes one. */
			const char *caller = calling_module();
			return caller != NULL && strcmp(caller, "types") == 0 ? 0 : refuse("no hand-made code objects");
		}
		if (starts_with(event, "ctypes."))
			return refuse("no ctypes");
		return starts_with(event, "cpython.run_") ? refuse("no prompt, no scripts") : 0;
	case 'i':
		return strcmp(event, "import") == 0 ? check_import(args) : 0;
	case 'm':
		if (strcmp(event, "marshal.loads") == 0)
			return check_unmarshal(args);
		return strcmp(event, "marshal.load") == 0 ? refuse("no bytecode from streams") : 0;
	case 'p':
		return strcmp(event, "pickle.find_class") == 0 ? refuse("no unpickling of classes") : 0;
	default:
		return 0;
	}
}

int seal_prepare(void)
{
	return PySys_AddAuditHook(audit, NULL) < 0 || PyFile_SetOpenCodeHook(open_code, NULL) < 0 ? -1 : 0;
}

static PyMethodDef get_data = {"get_data", seal_read, METH_VARARGS, "Read a file of the sealed image."};

int seal_close(void)
{
	int result = -1;
	PyObject *importer = PyImport_ImportModule("_frozen_importlib_external");
	PyObject *loader = importer == NULL ? NULL : PyObject_GetAttrString(importer, "FileLoader");
	PyObject *function = PyCFunction_New(&get_data, NULL);
	PyObject *method = function == NULL ? NULL : PyInstanceMethod_New(function);
	if (loader != NULL && method != NULL)
		result = PyObject_SetAttrString(loader, "get_data", method);
	Py_XDECREF(method);
	Py_XDECREF(function);
	Py_XDECREF(loader);
	Py_XDECREF(importer);
	closed = result == 0;
	return result;
}

/* ---- Shared objects: these two definitions stand before libc's in the lookup order of the whole process ---- */

static bool library_is_sealed(const char *name)
{
	char real[PATH_MAX];
	if (strchr(name, '/') == NULL)
		return true;
	if (realpath(name, real) == NULL)
		return false;
	for (size_t i = 0; i < COUNT(LIBRARY_DIRECTORIES); i++) {
		if (!starts_with(real, LIBRARY_DIRECTORIES[i]))
			continue;
		int fd = open(real, O_RDONLY | O_CLOEXEC);
		bool read_only = fd >= 0 && mount_is_read_only(fd);
		if (fd >= 0)
			close(fd);
		return read_only;
	}
	return false;
}

static void *(*libc_dlopen)(const char *, int);
static char *(*libc_dlerror)(void);

/* Both at once and early: looking a symbol up forgets the error that dlerror() is about to be asked for. */
__attribute__((constructor)) static void find_libc(void)
{
	*(void **)&libc_dlopen = dlsym(RTLD_NEXT, "dlopen");
	*(void **)&libc_dlerror = dlsym(RTLD_NEXT, "dlerror");
}

__attribute__((visibility("default"))) void *dlopen(const char *name, int mode)
{
	refusal[0] = '\0';
	if (name == NULL || library_is_sealed(name))
		return libc_dlopen(name, mode);
	snprintf(refusal, sizeof refusal, "sealed: %s is not a library of the read-only image", name);
	return NULL;
}

__attribute__((visibility("default"))) char *dlerror(void)
{
	static _Thread_local char told[sizeof refusal];
	if (refusal[0] == '\0')
		return libc_dlerror();
	memcpy(told, refusal, sizeof told);
	refusal[0] = '\0';
	return told;
}
