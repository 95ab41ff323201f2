#define _GNU_SOURCE
#define PY_SSIZE_T_CLEAN
#include "module.h"

#include "crypto.h"

#include <errno.h>
#include <linux/module.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <unistd.h>

/* Runs a system call without the GIL, because any of these may block for long; errno survives taking it back. */
#define WITHOUT_GIL(result, call)                                                                                      \
	do {                                                                                                           \
		Py_BEGIN_ALLOW_THREADS                                                                                 \
		(result) = (call);                                                                                     \
		Py_END_ALLOW_THREADS                                                                                   \
	} while (0)

static PyObject *none_or_error(long result, const char *filename)
{
	if (result == 0)
		Py_RETURN_NONE;
	return filename == NULL ? PyErr_SetFromErrno(PyExc_OSError) : PyErr_SetFromErrnoWithFilename(PyExc_OSError, filename);
}

/* ---- Mounts ---- */

static PyObject *dozen_mount(PyObject *Py_UNUSED(module), PyObject *args)
{
	const char *source, *target, *type, *data = "";
	unsigned long flags = 0;
	int result;
	if (!PyArg_ParseTuple(args, "zsz|kz:mount", &source, &target, &type, &flags, &data))
		return NULL;
	WITHOUT_GIL(result, mount(source, target, type, flags, data));
	return none_or_error(result, target);
}

static PyObject *dozen_umount(PyObject *Py_UNUSED(module), PyObject *args)
{
	const char *target;
	int flags = 0, result;
	if (!PyArg_ParseTuple(args, "s|i:umount", &target, &flags))
		return NULL;
	WITHOUT_GIL(result, umount2(target, flags));
	return none_or_error(result, target);
}

/* ---- The machine ---- */

static PyObject *dozen_reboot(PyObject *Py_UNUSED(module), PyObject *args)
{
	int command, result;
	if (!PyArg_ParseTuple(args, "i:reboot", &command))
		return NULL;
	WITHOUT_GIL(result, reboot(command));
	return none_or_error(result, NULL);
}

static PyObject *dozen_finit_module(PyObject *Py_UNUSED(module), PyObject *args)
{
	int fd, flags = 0;
	const char *parameters = "";
	long result;
	if (!PyArg_ParseTuple(args, "i|si:finit_module", &fd, &parameters, &flags))
		return NULL;
	WITHOUT_GIL(result, syscall(SYS_finit_module, fd, parameters, flags));
	return none_or_error(result, NULL);
}

static PyObject *dozen_sethostname(PyObject *Py_UNUSED(module), PyObject *args)
{
	const char *name;
	Py_ssize_t length;
	if (!PyArg_ParseTuple(args, "s#:sethostname", &name, &length))
		return NULL;
	return none_or_error(sethostname(name, (size_t)length), NULL);
}

static PyObject *dozen_adjtimex(PyObject *Py_UNUSED(module), PyObject *args, PyObject *named)
{
	static char *names[] = {"modes", "offset", "freq", "maxerror", "esterror", "status", "constant", "tick", NULL};
	struct timex t = {0};
	if (!PyArg_ParseTupleAndKeywords(args, named, "|$Illllill:adjtimex", names, &t.modes, &t.offset, &t.freq, &t.maxerror,
					 &t.esterror, &t.status, &t.constant, &t.tick))
		return NULL;
	int state = adjtimex(&t);
	if (state < 0)
		return PyErr_SetFromErrno(PyExc_OSError);
	return Py_BuildValue("{sislslslslsislsl}", "state", state, "offset", t.offset, "freq", t.freq, "maxerror",
			     t.maxerror, "esterror", t.esterror, "status", t.status, "constant", t.constant, "tick", t.tick);
}

/* ---- This process ---- */

static PyObject *dozen_set_process_name(PyObject *Py_UNUSED(module), PyObject *args)
{
	const char *name;
	if (!PyArg_ParseTuple(args, "s:set_process_name", &name))
		return NULL;
	return none_or_error(prctl(PR_SET_NAME, name), NULL);
}

/* ---- Children ---- */

static void free_words(char **words)
{
	for (char **word = words; word != NULL && *word != NULL; word++)
		PyMem_Free(*word);
	PyMem_Free(words);
}

/* A NULL-terminated copy of a sequence of str, encoded as file names are. */
static char **copy_words(PyObject *sequence)
{
	PyObject *fast = PySequence_Fast(sequence, "a sequence of str is needed");
	if (fast == NULL)
		return NULL;
	Py_ssize_t count = PySequence_Fast_GET_SIZE(fast);
	char **words = PyMem_Calloc((size_t)count + 1, sizeof *words);
	for (Py_ssize_t i = 0; words != NULL && i < count; i++) {
		PyObject *bytes = NULL;
		if (PyUnicode_FSConverter(PySequence_Fast_GET_ITEM(fast, i), &bytes))
			words[i] = PyMem_Malloc((size_t)PyBytes_GET_SIZE(bytes) + 1);
		if (words[i] == NULL) {
			Py_XDECREF(bytes);
			free_words(words);
			words = NULL;
		} else {
			memcpy(words[i], PyBytes_AS_STRING(bytes), (size_t)PyBytes_GET_SIZE(bytes) + 1);
			Py_DECREF(bytes);
		}
	}
	Py_DECREF(fast);
	if (words == NULL && !PyErr_Occurred())
		PyErr_NoMemory();
	return words;
}

static int start(pid_t *pid, char **argv, char **env, const int stdio[3])
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t every, none;
	int error = 0;
	sigfillset(&every);
	sigemptyset(&none);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	for (int fd = 0; fd < 3 && error == 0; fd++)
		error = stdio[fd] < 0 ? posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", 2 /* O_RDWR */, 0)
				      : posix_spawn_file_actions_adddup2(&actions, stdio[fd], fd);
	posix_spawnattr_setsigdefault(&attributes, &every);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
	if (error == 0)
		error = posix_spawn(pid, argv[0], &actions, &attributes, argv, env);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return error;
}

static PyObject *dozen_spawn(PyObject *Py_UNUSED(module), PyObject *args, PyObject *named)
{
	static char *names[] = {"argv", "stdin", "stdout", "stderr", "env", NULL};
	static const char *const empty[] = {NULL};
	PyObject *command, *variables = NULL;
	int stdio[3] = {-1, -1, -1};
	pid_t pid = 0;
	if (!PyArg_ParseTupleAndKeywords(args, named, "O|iiiO:spawn", names, &command, &stdio[0], &stdio[1], &stdio[2],
					 &variables))
		return NULL;
	char **argv = copy_words(command);
	char **env = argv == NULL || variables == NULL ? NULL : copy_words(variables);
	if (argv != NULL && argv[0] == NULL)
		PyErr_SetString(PyExc_ValueError, "no program");
	if (!PyErr_Occurred()) {
		errno = start(&pid, argv, env != NULL ? env : (char **)empty, stdio);
		if (errno != 0)
			PyErr_SetFromErrnoWithFilename(PyExc_OSError, argv[0]);
	}
	free_words(argv);
	free_words(env);
	if (PyErr_Occurred())
		return NULL;
	/* The pid cannot be another process's yet: this one has not been waited for. */
	long pidfd = syscall(SYS_pidfd_open, pid, 0);
	return pidfd < 0 ? PyErr_SetFromErrno(PyExc_OSError) : Py_BuildValue("il", (int)pid, pidfd);
}

#define PLAIN(name, text) {#name, dozen_##name, METH_VARARGS, text}
#define NAMED(name, text) {#name, (PyCFunction)(void (*)(void))dozen_##name, METH_VARARGS | METH_KEYWORDS, text}

static PyMethodDef functions[] = {
	PLAIN(mount, "mount(source, target, fstype, flags=0, data='')"),
	PLAIN(umount, "umount(target, flags=0)"),
	PLAIN(reboot, "reboot(command)"),
	PLAIN(finit_module, "finit_module(fd, parameters='', flags=0)"),
	PLAIN(sethostname, "sethostname(name)"),
	NAMED(adjtimex, "adjtimex(*, modes=0, ...) -> dict"),
	PLAIN(set_process_name, "set_process_name(name)"),
	PLAIN(ed25519_public_key, "ed25519_public_key(seed) -> bytes"),
	PLAIN(ed25519_sign, "ed25519_sign(seed, message) -> bytes"),
	PLAIN(key_generate, "key_generate() -> bytes: a P-256 key in DER"),
	PLAIN(key_public, "key_public(key) -> bytes: its SubjectPublicKeyInfo"),
	PLAIN(key_sign, "key_sign(key, message) -> bytes"),
	NAMED(spawn, "spawn(argv, stdin=-1, stdout=-1, stderr=-1, env=()) -> (pid, pidfd)"),
	{NULL, NULL, 0, NULL},
};

/* The numbers themselves are in dozen/linux/sys.py, where a reader of Python looks for them. */
static struct PyModuleDef definition = {
	PyModuleDef_HEAD_INIT, "_dozen", "The system calls that Python's os module lacks.", -1, functions, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__dozen(void)
{
	return PyModule_Create(&definition);
}
