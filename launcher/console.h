/* How C code says what goes on, to the kernel log, and what went wrong: to stderr too, and as PID 1 to both. */
#ifndef DOZEN_CONSOLE_H
#define DOZEN_CONSOLE_H

#include <stdarg.h>
#include <stdnoreturn.h>

/* Name that starts every message; "init" until it is set. The string is kept, not copied. */
void console_set_name(const char *name);

/* One sentence for the kernel's log, and so for the console: something goes as it should. */
void console_note(const char *text);

/* One line, without a newline at its end. */
void console_report(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Opens /dev/console (else /dev/null) for those of the descriptors 0, 1 and 2 that are closed. */
void console_fill_stdio(void);

/* For PID 1 only: says why, waits ten seconds so that it can be read, and restarts the machine. */
noreturn void console_give_up(const char *reason);

#endif
