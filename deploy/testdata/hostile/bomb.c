/* Has children, which have children, as many as it may. */
#include <sys/resource.h>
#include <unistd.h>

int main(void)
{
	struct rlimit most;

	/* All processes of the user count, so that others need room, too. */
	getrlimit(RLIMIT_NPROC, &most);
	if (most.rlim_cur > 500)
		most.rlim_cur = 500;
	setrlimit(RLIMIT_NPROC, &most);
	while (fork() >= 0)
		;
	for (;;)
		pause();
}
