/* Two CGI programs, by the name that it is called by:
 *
 *	echo	reads its whole body, of at most 256 KiB, and then sends it back
 *	long	sends LONG bytes
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char buf[256 << 10];

static void put(const char *p, size_t n)
{
	while (n > 0) {
		ssize_t k = write(1, p, n);
		if (k < 0)
			_exit(1);
		p += k;
		n -= k;
	}
}

int main(int argc, char **argv)
{
	static const char head[] = "Content-Type: text/plain\n\n";
	size_t n = 0, left = LONG;
	ssize_t k;

	if (strstr(argv[0], "echo")) {
		while ((k = read(0, buf + n, sizeof buf - n)) > 0)
			n += k;
		left = 0;
	}
	put(head, sizeof head - 1);
	put(buf, n);
	for (; left > 0; left -= n) {
		n = left < sizeof buf ? left : sizeof buf;
		put(buf, n);
	}
	return 0;
}
