/* A FastCGI application on libfcgi, in two roles. */
#include <fcgiapp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void quit(int sig)
{
	(void)sig;
	_exit(0);
}

static const char *get(FCGX_Request *r, const char *name)
{
	const char *v = FCGX_GetParam(name, r->envp);
	return v ? v : "-";
}

int main(void)
{
	FCGX_Request r;
	int requests = 0;

	signal(SIGTERM, quit);
	FCGX_Init();
	FCGX_InitRequest(&r, 0, 0);
	while (FCGX_Accept_r(&r) == 0) {
		requests++;
		if (strcmp(get(&r, "FCGI_ROLE"), "AUTHORIZER") == 0) {
			if (strstr(get(&r, "QUERY_STRING"), "open"))
				FCGX_FPrintF(r.out, "Status: 200 OK\r\nVariable-REMOTE_USER: anna\r\n\r\n");
			else
				FCGX_FPrintF(r.out, "Status: 403 Forbidden\r\nContent-Type: text/plain\r\n\r\nnot you\n");
		} else {
			char buf[65536];
			long long n, body = 0;
			while ((n = FCGX_GetStr(buf, sizeof buf, r.in)) > 0)
				body += n;
			FCGX_FPrintF(r.out, "Content-Type: text/plain\r\n\r\n%s %s %s, user %s, body %ld, sent %s, long %d\n", get(&r, "REQUEST_METHOD"),
				get(&r, "SCRIPT_NAME"), get(&r, "PATH_INFO"), get(&r, "REMOTE_USER"), (long)body, get(&r, "CONTENT_LENGTH"), (int)strlen(get(&r, "HTTP_X_LONG")));
			FCGX_FPrintF(r.err, "a complaint\n");
		}
		FCGX_Finish_r(&r);
	}
	return 0;
}
