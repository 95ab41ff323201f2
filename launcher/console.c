#include "console.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <unistd.h>

enum { READING_SECONDS = 10 };

static const char *program = "init";

void console_set_name(const char *name)
{
	program = name;
}

static void write_to(const char *path, const char *text, size_t length)
{
	int fd = open(path, O_WRONLY | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (write(fd, text, length) < 0) { /* there is nobody left to tell */
	}
	close(fd);
}

void console_note(const char *text)
{
	char line[256];
	int length = snprintf(line, sizeof line, "<5>[dozen] %s: %s", program, text); /* 5 is "notice" */
	write_to("/dev/kmsg", line, length < (int)sizeof line ? (size_t)length : sizeof line - 1);
}

void console_report(const char *format, ...)
{
	char text[1024];
	va_list args;
	/* A line in /dev/kmsg starts with its priority: 2 is "critical", shown on the console at any log level in use. */
	int used = snprintf(text, sizeof text, "<2>%s: ", program);
	va_start(args, format);
	int rest = vsnprintf(text + used, sizeof text - (size_t)used - 1, format, args);
	va_end(args);
	size_t length = (size_t)used + (rest < 0 ? 0 : (size_t)rest);
	if (length > sizeof text - 2)
		length = sizeof text - 2;
	text[length++] = '\n';
	if (getpid() == 1)
		write_to("/dev/kmsg", text, length);
	if (write(STDERR_FILENO, text + 3, length - 3) < 0) { /* no stderr: the kernel log has it */
	}
}

void console_fill_stdio(void)
{
	for (int fd = 0; fd <= 2; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		if (open("/dev/console", O_RDWR | O_NOCTTY) < 0 && open("/dev/null", O_RDWR) < 0)
			return;
	}
}

noreturn void console_give_up(const char *reason)
{
	console_report("%s", reason);
	console_report("the machine restarts in %d seconds", READING_SECONDS);
	sync();
	sleep(READING_SECONDS);
	reboot(RB_AUTOBOOT);
	/* Not allowed to restart, as in a container: end, which ends the container (or makes the kernel panic, visibly). */
	_exit(1);
}
