/*
 * The first process of every pod: holds the pod's namespaces open and buries what is orphaned in them. It sleeps for as
 * long as the pod lives, so its whole worth is in being small: statically linked C, some tens of kilobytes resident.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static void end(int number)
{
	(void)number;
	_exit(0);
}

static void bury(int number)
{
	(void)number;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

int main(void)
{
	struct sigaction asked = {.sa_handler = end};
	struct sigaction orphaned = {.sa_handler = bury, .sa_flags = SA_NOCLDSTOP};

	if (sigaction(SIGINT, &asked, NULL) < 0 || sigaction(SIGTERM, &asked, NULL) < 0 ||
	    sigaction(SIGCHLD, &orphaned, NULL) < 0) {
		perror("pause: sigaction");
		return 1;
	}
	for (;;)
		pause();
}
