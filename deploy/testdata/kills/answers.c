/* Answers as its query says: MODE:BYTES.
 *
 *	large	so many bytes, the letters in turn
 *	slow	the same in ten parts, with a pause before each
 *	child	the same as slow, with a child that lives as long
 *	echo	its body
 *	stderr	so many bytes, and as many on stderr
 *	never	nothing, ever
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static char buf[65536];

static void put(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t k = write(fd, p, n);
		if (k < 0)
			_exit(1);
		p += k;
		n -= k;
	}
}

/* letters writes the letters from number i to number n. */
static void letters(int fd, long i, long n)
{
	while (i < n) {
		long k = 0;
		while (k < (long)sizeof buf && i < n)
			buf[k++] = 'a' + i++ % 26;
		put(fd, buf, k);
	}
}

int main(void)
{
	static const char head[] = "Content-Type: text/plain\n\n";
	char mode[16] = "";
	const char *query = getenv("QUERY_STRING");
	long n = 0, i;
	int alive[2];

	if (!query || sscanf(query, "%15[a-z]:%ld", mode, &n) != 2)
		return 1;
	if (!strcmp(mode, "never"))
		for (;;)
			pause();
	if (!strcmp(mode, "child")) {
		if (pipe(alive))
			return 1;
		if (fork() == 0) {
			close(alive[1]);
			_exit(read(alive[0], buf, 1) != 0); /* until the parent ends */
		}
		close(alive[0]);
	}
	put(1, head, sizeof head - 1);
	if (!strcmp(mode, "echo")) {
		ssize_t k;
		while ((k = read(0, buf, sizeof buf)) > 0)
			put(1, buf, k);
	} else if (!strcmp(mode, "slow") || !strcmp(mode, "child")) {
		for (i = 0; i < 10; i++) {
			usleep(2000);
			letters(1, n * i / 10, n * (i + 1) / 10);
		}
	} else {
		if (!strcmp(mode, "stderr"))
			letters(2, 0, n);
		letters(1, 0, n);
	}
	return 0;
}
