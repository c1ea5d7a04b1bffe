// Package admin shows what a running gateway does: to Prometheus, to a browser, to probes, and
// to the commands status, top and abort.
//
// A [Handler] answers over HTTP, from a [Source]:
//
//	/             the live page, which needs no JavaScript (GET)
//	/events       what the page shows, as server-sent events
//	/status.json  the same as a [Status]
//	/metrics      for Prometheus, as text or OpenMetrics, whichever it accepts
//	/healthz      200 while the process answers
//	/readyz       200 while the process is to get requests, else 503
//	/request      what one request in flight does: its processes, its limits (?id=)
//	/request.json the same as a [Detail]
//	/abort        ends a request in flight (POST, with its id)
//
// Whoever may connect to its unix socket may see all that and abort requests. Over TCP every
// local user can connect, every CGI program, and, through a name that a foreign site points at
// 127.0.0.1, every page in a browser of this machine. So there the Host must be an address,
// localhost or one of Hosts, and aborting needs the Token. It must never be on a listener that
// serves applications.
//
// What a client can make it do is bounded: 64 connections to a listener, of which an idle one
// gives way to a new one; 8 answers are made at a time, 2 requests looked at, and 16 pages are
// open. Others get 503, and are counted, but /healthz and /readyz always answer. A client that
// sends no request or takes no response for 10 s is disconnected, and holds up nobody else.
package admin
