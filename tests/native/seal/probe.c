/* A module of the sealed tree that opens a library the way cffi or OpenSSL would: without asking Python. Built with TRAP it
 * is what an intruder left in /var: code of it runs as soon as it is loaded. */
#include <Python.h>
#include <dlfcn.h>
#include <unistd.h>

#ifdef TRAP
__attribute__((constructor)) static void came_in(void)
{
	(void)!write(STDOUT_FILENO, "came in\n", 8);
}
#endif

static PyObject *probe_dlopen(PyObject *module, PyObject *args)
{
	const char *name;
	(void)module;
	if (!PyArg_ParseTuple(args, "s", &name))
		return NULL;
	if (dlopen(name, RTLD_NOW) == NULL)
		return PyErr_Format(PyExc_OSError, "%s", dlerror());
	Py_RETURN_NONE;
}

static PyMethodDef functions[] = {{"dlopen", probe_dlopen, METH_VARARGS, NULL}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "probe", NULL, -1, functions, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_probe(void)
{
	return PyModule_Create(&definition);
}
