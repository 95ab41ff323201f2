/* /sbin/init: one program under several names.
 *
 * wrapperd is plain C and ends in exec. Every other name starts the sealed interpreter (seal.h) and calls
 * dozen.node.main.main(name, arguments); what that returns is the exit status. PID 1's name is "machined". The arguments are
 * the program's own: the interpreter never sees one. If PID 1 cannot go on, it says why on the console and in the kernel
 * log and restarts the machine after ten seconds; any other name ends with status 1.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bundle.h"
#include "console.h"
#include "module.h"
#include "seal.h"
#include "wrapperd.h"

static const char *const NAMES[] = {"init", "apid", "trustd", "dashboard", "poweroff", "shutdown"};

static bool first_process;

/* Ends the program: PID 1 by restarting the machine. */
static int give_up(const char *reason)
{
	if (first_process)
		console_give_up(reason);
	console_report("%s", reason);
	return 1;
}

static void set_environment(void)
{
	clearenv();
	setenv("PATH", "/bin:/sbin", 1);
	setenv("TERM", "linux", 1);
}

static PyStatus set_strings(PyConfig *config)
{
	struct {
		wchar_t **field;
		const wchar_t *value;
	} const strings[] = {
		/* All of them given, so that no landmark files are searched for (pyvenv.cfg, ._pth, build directories). */
		{&config->program_name, L"/sbin/init"},
		{&config->executable, L""},
		{&config->base_executable, L""},
		{&config->prefix, L"/usr"},
		{&config->base_prefix, L"/usr"},
		{&config->exec_prefix, L"/usr"},
		{&config->base_exec_prefix, L"/usr"},
		{&config->stdlib_dir, L"/usr/lib/python3.13"},
		{&config->platlibdir, L"lib"},
		{&config->check_hash_pycs_mode, L"never"},
	};
	PyStatus status = PyStatus_Ok();
	for (size_t i = 0; i < sizeof strings / sizeof strings[0] && !PyStatus_Exception(status); i++)
		status = PyConfig_SetString(config, strings[i].field, strings[i].value);
	for (size_t i = 0; i < SEALED_PATHS && !PyStatus_Exception(status); i++)
		status = PyWideStringList_Append(&config->module_search_paths, sealed_search_path[i]);
	return status;
}

static PyStatus start_interpreter(void)
{
	PyPreConfig before;
	PyConfig config;
	PyPreConfig_InitIsolatedConfig(&before);
	before.utf8_mode = 1;
	PyStatus status = Py_PreInitialize(&before);
	if (PyStatus_Exception(status))
		return status;
	PyConfig_InitIsolatedConfig(&config);
	config.parse_argv = 0;
	config.site_import = 0;
	config.write_bytecode = 0;
	config.optimization_level = 2;
	config.module_search_paths_set = 1;
	status = set_strings(&config);
	if (!PyStatus_Exception(status))
		status = Py_InitializeFromConfig(&config);
	PyConfig_Clear(&config);
	return status;
}

/* PID 1 never finalizes its interpreter, so what was printed last would stay in its buffers. */
static void flush_output(void)
{
	static const char *const names[] = {"stdout", "stderr"};
	PyObject *error = PyErr_GetRaisedException();
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		PyObject *stream = PySys_GetObject(names[i]);
		PyObject *done = stream == NULL || stream == Py_None ? NULL : PyObject_CallMethod(stream, "flush", NULL);
		Py_XDECREF(done);
		PyErr_Clear();
	}
	PyErr_SetRaisedException(error);
}

/* The current exception as one sentence for the kernel log, and whole on stderr. */
static int report_exception(const char *name)
{
	static char text[512];
	PyObject *error = PyErr_GetRaisedException();
	PyObject *message = error == NULL ? NULL : PyObject_Str(error);
	const char *words = message == NULL ? NULL : PyUnicode_AsUTF8(message);
	snprintf(text, sizeof text, "%s ended by %s: %.400s", name, error == NULL ? "nothing" : Py_TYPE(error)->tp_name,
		 words == NULL ? "" : words);
	PyErr_Clear();
	Py_XDECREF(message);
	if (error != NULL)
		PyErr_DisplayException(error);
	Py_XDECREF(error);
	return give_up(text);
}

static PyObject *call_main(const char *name, int argc, char **argv)
{
	PyObject *result = NULL;
	PyObject *module = bundle_install() == 0 && seal_close() == 0 ? PyImport_ImportModule("dozen.node.main") : NULL;
	PyObject *arguments = module == NULL ? NULL : PyList_New(argc);
	for (int i = 0; arguments != NULL && i < argc; i++) {
		PyObject *word = PyUnicode_DecodeFSDefault(argv[i]);
		if (word == NULL)
			Py_CLEAR(arguments);
		else
			PyList_SET_ITEM(arguments, i, word);
	}
	if (arguments != NULL)
		result = PyObject_CallMethod(module, "main", "sO", name, arguments);
	Py_XDECREF(arguments);
	Py_XDECREF(module);
	return result;
}

static int run_python(const char *name, int argc, char **argv)
{
	const char *reason;
	if (!seal_check(&reason) || !bundle_open(&reason))
		return give_up(reason);
	set_environment();
	signal(SIGPIPE, SIG_IGN); /* the isolated configuration installs no handlers; a closed socket must be an error */
	if (seal_prepare() != 0 || PyImport_AppendInittab("_dozen", PyInit__dozen) != 0)
		return give_up("the interpreter could not be sealed");
	PyStatus status = start_interpreter();
	if (PyStatus_Exception(status)) {
		static char text[512];
		snprintf(text, sizeof text, "the interpreter did not start: %s", status.err_msg == NULL ? "" : status.err_msg);
		return give_up(text);
	}
	PyObject *result = call_main(name, argc, argv);
	flush_output();
	long code = result == NULL ? -1 : PyLong_AsLong(result);
	if (PyErr_Occurred())
		return report_exception(name);
	Py_DECREF(result);
	/* A container's PID 1 ends by returning 0; a machine's ends in reboot(2), or has a reason to be restarted. */
	if (first_process && code != 0)
		return give_up("machined could not end the machine");
	return Py_FinalizeEx() < 0 ? 120 : (int)(code & 0xff);
}

int main(int argc, char **argv)
{
	const char *called = argc > 0 ? argv[0] : "init";
	const char *slash = strrchr(called, '/');
	const char *name = slash == NULL ? called : slash + 1;
	console_fill_stdio();
	if (strcmp(name, "wrapperd") == 0)
		return wrapperd_main(argc, argv);
	first_process = getpid() == 1;
	for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
		if (strcmp(name, NAMES[i]) != 0)
			continue;
		console_set_name(NAMES[i]);
		if (i > 0)
			return run_python(NAMES[i], argc - 1, argv + 1);
		if (first_process)
			return run_python("machined", argc - 1, argv + 1);
		return give_up("this is PID 1's program and does nothing else; see dozenctl for managing a node");
	}
	return give_up("started under a name that is none of its own");
}
