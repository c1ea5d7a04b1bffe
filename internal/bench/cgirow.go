//go:build linux

package main

import "fmt"

// cgiRows returns the rows of CGI programs.
func cgiRows(w *workshop, n scale) []row {
	against := func(s side, m meter, g goal) rival { return rival{contender{s, m}, g} }
	atLeast := func(ratio float64) goal { return goal{ratio: ratio} }
	atMost := func(figure float64) goal { return goal{most: figure} }
	program := func(name string) string { return w.fill("{dir}/" + name) }
	each := func(name string) load { return load{connections: 8, request: request{filename: program(name)}} }
	ours := gateway("/=scripts:{dir}")
	hello, sender, reader := program("hello"), program("sender"), program("reader")
	splice := func(protocol, program string, size int) side {
		return self(spliceLoop, protocol).running(program).sized(size)
	}

	all := []row{{name: "cgi", title: "CGI program (static C), a connection per request, 8 at a time",
		ours: contender{ours, each("hello")}, peers: []rival{
			against(fcgiwrap(8), each("hello"), atLeast(1.4)),
			against(self(execLoop, "").running(hello), each("hello"), atLeast(0.85)),
		}}}
	for _, language := range [][2]string{{"sh", "hello.sh"}, {"perl", "hello.pl"}, {"python", "hello.py"}} {
		all = append(all, row{name: "cgi-" + language[0], title: fmt.Sprintf("CGI program (%s), 8 at a time", language[0]),
			ours: contender{ours, each(language[1])}, peers: []rival{against(fcgiwrap(8), each(language[1]), atLeast(1.3))}})
	}

	send := fetching{size: n.size, filename: sender}
	all = append(all,
		row{name: "cgi-response", title: "CGI program, large responses", ours: contender{ours, send}, peers: []rival{
			against(fcgiwrap(8), send, atLeast(3.5)),
			against(splice(overFastCGI, sender, n.size), send, atLeast(0.9)),
		}},
		row{name: "cgi-response", title: "CGI program, large responses over SCGI", ours: contender{ours.scgi(), scgiFetching{n.size, sender}}, peers: []rival{
			against(fcgiwrap(8), send, atLeast(3.5)),
			against(splice(overSCGI, sender, n.size), scgiFetching{n.size, sender}, atLeast(0.9)),
		}},
		row{name: "cgi-body", title: "CGI program, large bodies", ours: contender{ours, posting{n.size, reader}}, peers: []rival{
			against(fcgiwrap(8), posting{n.size, reader}, goal{}),
			against(splice(overFastCGI, reader, 0), posting{n.size, reader}, atLeast(0.8)),
		}})

	// Each load has at least two requests, the first of which is not timed.
	many := fetching{size: n.stream / 2, filename: sender}
	much := posting{n.stream / 2, reader}
	sips := slow{n.slow, n.size, sender}
	all = append(all,
		row{name: "cgi-rss", title: fmt.Sprintf("CGI program, peak memory while it sends %.3g GB", float64(n.stream)/1e9), fresh: true, once: true,
			ours: contender{ours, peak{many}}, peers: []rival{against(splice(overFastCGI, sender, n.stream/2), peak{many}, atMost(30))}},
		row{name: "cgi-rss", title: fmt.Sprintf("CGI program, peak memory while it reads %.3g GB", float64(n.stream)/1e9), fresh: true, once: true,
			ours: contender{ours, peak{much}}, peers: []rival{against(splice(overFastCGI, reader, 0), peak{much}, atMost(30))}},
		row{name: "cgi-slow", title: fmt.Sprintf("CGI programs, peak memory with %d slow clients", n.slow), fresh: true, once: true,
			ours:  contender{ours.configured(fmt.Sprintf("programs = %d", n.slow)), peak{sips}},
			peers: []rival{against(splice(overFastCGI, sender, n.size), peak{sips}, atMost(60))}})

	queued := func(clients int) load {
		return load{connections: clients, request: request{keep: true, filename: hello}, queued: true}
	}
	limited := ours.configured("programs = 8\nqueue = 1000")
	eight := limited
	eight.name = "8 clients"
	return append(all, row{name: "cgi-queue", title: fmt.Sprintf("CGI programs = 8, %d clients", n.clients),
		ours: contender{limited, queued(n.clients)}, peers: []rival{against(eight, queued(8), atMost(1.3))}})
}
