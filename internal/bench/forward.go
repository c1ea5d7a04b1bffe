//go:build linux

package main

import (
	"fmt"
	"time"
)

// behind returns a side that passes requests on to another one. In the arguments and the
// configuration, {upstream} stands for the socket of that one.
func (s side) behind(upstream side) side {
	s.upstream = &upstream
	return s
}

// forwarder returns the gateway in front of a side that speaks FastCGI.
func forwarder(upstream side) side {
	s := side{name: "gatehouse", program: "{dir}/gatehouse", args: []string{"serve", "--fastcgi", "unix:{socket}"}}
	return s.configured("[[app]]\nfastcgi = \"unix:{upstream}\"\nkeep = 8").behind(upstream)
}

// phpFPM returns php-fpm with as many workers as there are clients. It serves {dir}/php.
func phpFPM(workers int) side {
	s := side{name: "php-fpm", program: "/usr/sbin/php-fpm8.2", args: []string{"-n", "-F", "-y", "{socket}.toml"}}
	s.config = fmt.Sprintf(`[global]
error_log = /dev/stderr
log_level = error
[www]
user = www-data
group = www-data
listen = {socket}
listen.mode = 0666
pm = static
pm.max_children = %d
php_admin_value[post_max_size] = 0
php_admin_flag[enable_post_data_reading] = off`, workers)
	return s
}

// httpForwarder returns the gateway with HTTP, in front of php-fpm.
func httpForwarder(upstream side) side {
	s := side{name: "gatehouse", program: "{dir}/gatehouse", args: []string{"serve", "--http", "unix:{socket}"}}
	return s.configured("[[app]]\nfastcgi = \"unix:{upstream}\"\nroot = \"{dir}/php\"\nindex = \"index.php\"").behind(upstream)
}

// caddy returns Caddy's php_fastcgi.
func caddy(upstream side) side {
	s := side{name: "caddy", program: "caddy", args: []string{"run", "--adapter", "caddyfile", "--config", "{socket}.toml"}}
	s.config = `{
	admin off
	auto_https off
}
http:// {
	bind unix/{socket}
	root * {dir}/php
	php_fastcgi unix/{upstream}
}`
	return s.behind(upstream)
}

// pages are what php-fpm serves, by file name.
var pages = map[string]string{
	"hello.php": `<?php header('Content-Type: text/plain'); echo "hello world\n";`,
	"sender.php": `<?php header('Content-Type: text/plain');
$block = file_get_contents(__DIR__ . '/block');
for ($left = (int)$_GET['size']; $left > 0; $left -= strlen($block)) echo $left < strlen($block) ? substr($block, 0, $left) : $block;`,
	"reader.php": `<?php header('Content-Type: text/plain');
$sum = 0;
for ($in = fopen('php://input', 'r'); !feof($in);) $sum += strlen(fread($in, 65536));
echo $sum, "\n";`,
	"block": string(block()),
}

// A cost measures the processor time of a side for a request, user and system.
type cost struct {
	meter
}

func (cost) figures() []string { return []string{"µs"} }

func (c cost) measure(r *running, length time.Duration) ([]float64, error) {
	used, requests := r.used.side, r.requests
	if _, err := c.meter.measure(r, length); err != nil {
		return nil, err
	}
	return []float64{float64((r.used.side - used).Nanoseconds()) / 1e3 / float64(r.requests-requests)}, nil
}

// forwardRows returns the rows of applications that listen by themselves.
func forwardRows(w *workshop, n scale) []row {
	against := func(s side, m meter, g goal) rival { return rival{contender{s, m}, g} }
	atLeast := func(ratio float64) goal { return goal{ratio: ratio} }
	atMost := func(figure float64) goal { return goal{most: figure} }
	direct := func(s side) side { s.name = "direct"; return s }
	kept := load{connections: 8, request: request{keep: true}}
	web := load{connections: 8, request: request{http: true, keep: true, filename: "hello.php"}}
	hop := self(bareHop, hello).running("{upstream}").behind(libfcgi(8))
	small := n.size / 50 // 2 MB

	all := []row{
		{name: "forward", title: "FastCGI to libfcgi × 8, 8 kept connections", ours: contender{forwarder(libfcgi(8)), kept}, peers: []rival{
			against(direct(libfcgi(8)), kept, atLeast(0.6)),
			against(hop, kept, atLeast(0.85)),
		}},
		{name: "forward-cost", title: "FastCGI to libfcgi × 8, processor time of a request", ours: contender{forwarder(libfcgi(8)), cost{kept}}, peers: []rival{
			against(direct(libfcgi(8)), cost{kept}, atMost(25)),
			against(hop, cost{kept}, goal{}),
		}},
		{name: "forward-php", title: "HTTP to php-fpm, 8 kept connections", ours: contender{httpForwarder(phpFPM(8)), web}, peers: []rival{
			against(caddy(phpFPM(8)), web, atLeast(1.3)),
		}},
	}
	command := func(name string, m starting) contender {
		s := self(ourApp, hello)
		s.name = name
		return contender{s, m}
	}
	all = append(all, row{name: "forward-cgi", title: "A CGI program that passes a request on by FastCGI, processor time",
		ours: command("gatehouse cgi", starting{args: []string{w.fill("{dir}/gatehouse"), "cgi", "--fastcgi", "unix:{socket}"}}), peers: []rival{
			{command("cgi-fcgi", starting{args: []string{"cgi-fcgi", "-bind", "-connect", "{socket}"}}), atMost(10)},
			{command("a Go program that does nothing", starting{args: []string{w.fill("{dir}/nothing")}, silent: true}), goal{}},
		}})
	php := func(name string) string { return w.fill("{dir}/php/" + name) }
	for _, size := range []int{small, n.size} {
		send := fetching{size: size, filename: php("sender.php")}
		all = append(all, row{name: "forward-send", title: fmt.Sprintf("FastCGI to php-fpm, responses of %.3g MB", float64(size)/1e6),
			ours: contender{forwarder(phpFPM(1)), send}, peers: []rival{against(direct(phpFPM(1)), send, atLeast(0.75))}})
	}
	post := posting{small, php("reader.php")}
	read, many, much := self(ourApp, reader), fetching{size: n.stream / 2}, posting{size: n.stream / 2}
	send := self(ourApp, sender).sized(n.stream / 2)
	return append(all,
		row{name: "forward-body", title: fmt.Sprintf("FastCGI to php-fpm, bodies of %.3g MB", float64(small)/1e6),
			ours: contender{forwarder(phpFPM(1)), post}, peers: []rival{against(direct(phpFPM(1)), post, atLeast(0.75))}},
		row{name: "forward-rss", title: fmt.Sprintf("FastCGI to FastCGI, peak memory for responses of %.3g GB", float64(n.stream)/1e9), fresh: true, once: true,
			ours: contender{forwarder(send), peak{many}}, peers: []rival{against(direct(send), peak{many}, atMost(30))}},
		row{name: "forward-rss", title: fmt.Sprintf("FastCGI to FastCGI, peak memory for bodies of %.3g GB", float64(n.stream)/1e9), fresh: true, once: true,
			ours: contender{forwarder(read), peak{much}}, peers: []rival{against(direct(read), peak{much}, atMost(30))}})
}
