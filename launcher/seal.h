/* The seal: why an interpreter on this machine is not a shell.
 *
 * /sbin/init embeds CPython and runs only code of the read-only root image. What holds that up:
 *
 *  1. Nothing from the outside configures the interpreter. No argument and no environment variable is ever read by
 *     it (isolated configuration, arguments not parsed, environment cleared before it starts); no site directories, no
 *     user directories, no current directory in the path, no bytecode written. A start with LD_* variables, which the
 *     dynamic linker has obeyed before main(), is refused.
 *  2. The search path is three directories, fixed at compile time. Before the interpreter starts, each of them and all
 *     their parents must be real directories (no links), owned by root, writable by nobody else, on a file system that
 *     is mounted read-only; otherwise there is no start.
 *  3. The importers read code through seal_read(), or from a bundle (bundle.h) that seal_open() opened: a regular file
 *     under the search path, owned by root, whose mount is read-only at that moment. Bytecode is unmarshalled only when it
 *     is what was just read there.
 *  4. Shared objects: dlopen() itself is replaced for the whole process (so for libpython, OpenSSL and cffi alike) and
 *     takes only files of the system's library directories on a read-only mount, or bare names, which the linker looks
 *     up in those directories.
 *  5. Text becomes code only where the standard library generates classes (namedtuple, dataclasses, annotations) or
 *     parses (ast), see COMPILERS in seal.c. ctypes, unpickling of classes, hand-made code objects, interactive prompts and
 *     CPython's own ways to run a file, a command or standard input are refused.
 *
 * What it does not promise: it keeps foreign code from getting in, it does not confine code that is in. A bug in our
 * own modules that lets data choose what they do, a write to this process's memory (ptrace, /proc/PID/mem, the kernel),
 * mounting something over the sealed directories, or starting /sbin/init with a hostile LD_PRELOAD (whose
 * constructors run before the refusal) all need power over the machine that root in the host's namespaces has anyway.
 * Programs that init starts are not covered: they are the image's own, started by name.
 */
#ifndef DOZEN_SEAL_H
#define DOZEN_SEAL_H

#include <Python.h>
#include <stdbool.h>
#include <sys/stat.h>

#define SEALED_PATHS 3
extern const wchar_t *const sealed_search_path[SEALED_PATHS];

/* Whether the interpreter may start; when not, *reason says why in one sentence (static storage). */
bool seal_check(const char **reason);

/* An open descriptor of a file of the sealed image; otherwise -1, with the rest of a sentence about it in *fault. */
int seal_open(const char *path, struct stat *about, const char **fault);

/* Whether what was opened by it is on a read-only mount still. */
bool seal_still_holds(int fd);

/* The code object in bytes that were just read from the sealed image. NULL with an exception set. */
PyObject *seal_unmarshal(PyObject *data);

/* Before Py_InitializeFromConfig: installs the audit and open_code hooks. */
int seal_prepare(void);

/* After it: routes the importer through seal_read() and puts every rule above into force. -1 with an exception set. */
int seal_close(void);

#endif
