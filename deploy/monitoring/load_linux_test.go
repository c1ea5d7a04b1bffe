package monitoring

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"gatehouse/cgi"
	"gatehouse/internal/probe"
)

// programs are those that a load asks for.
var programs = map[string]string{
	"echo":   "printf 'Content-Type: text/plain\\n\\n'\nexec cat\n",
	"moved":  "printf 'Status: 302 Found\\nLocation: http://www.example.org/\\nContent-Type: text/plain\\n\\nmoved\\n'\n",
	"busy":   "printf 'Status: 503 Service Unavailable\\nContent-Type: text/plain\\n\\nbusy\\n'\nexit 4\n",
	"broken": "echo 'cannot open the database' >&2\nexit 3\n",
	"killed": "kill -9 $$\n",
	"short":  "printf 'Content-Type: text/plain\\nContent-Length: 100\\n\\n0123456789'\n",
	"stays":  "printf 'Content-Type: text/plain\\n\\nstays'\nexec sleep 1000\n",
	"late":   "exec sleep 1000\n",
	"held":   "read line <\"$GATE\"\nprintf 'Content-Type: text/plain\\n\\nheld\\n'\n",
}

// A kind is a request of a load, and what is to come of it.
type kind struct {
	application, path string
	body              int    // bytes
	class             string // that the client must see
	check, limit      string // that refuse or end it
	exit              string // of its program: a status, "signal", or "" for none
	leave             int    // the client leaves when so many bytes have come; 0: not
}

// kinds are the requests that every load makes.
var kinds = []kind{
	{application: "/cgi-bin", path: "/echo", class: "2xx", exit: "0"},
	{application: "/cgi-bin", path: "/echo", body: 10, class: "2xx", exit: "0"},
	{application: "/cgi-bin", path: "/echo", body: 200_000, class: "2xx", exit: "0"},
	{application: "/cgi-bin", path: "/moved", class: "3xx", exit: "0"},
	{application: "/cgi-bin", path: "/none", class: "4xx", check: "missing"},
	{application: "", path: "/nowhere", class: "4xx", check: "unmounted"},
	{application: "/cgi-bin", path: "/busy", class: "5xx", exit: "4"},
	{application: "/cgi-bin", path: "/broken", class: "5xx", exit: "3"},
	{application: "/cgi-bin", path: "/killed", class: "5xx", exit: "signal"},
	{application: "/cgi-bin", path: "/short", class: "truncated", exit: "0"},
	{application: "/cgi-bin", path: "/stays", class: "gone", exit: "signal", leave: len("stays")},
	{application: "/late", path: "/late", class: "5xx", limit: "first_byte", exit: "signal"},
	{application: "/php", path: "/hello.php", class: "2xx"},
	{application: "/dead", path: "/x", class: "5xx"},
}

// A load makes requests, and knows what has come of them.
type load struct {
	gatehouse *gatehouse

	mu      sync.Mutex                    // guards what follows
	figures map[string]map[string]float64 // of each query in figures, by the values of its labels
}

// figures are the queries that a load knows the results of, each with the labels by which it
// sums up.
var figures = map[string][]string{
	"gatehouse_requests_total":                    {"application", "protocol", "class"},
	"gatehouse_request_duration_seconds_count":    {"application"},
	"gatehouse_request_first_byte_seconds_count":  {"application"},
	"gatehouse_request_wait_seconds_count":        {"application"},
	"gatehouse_request_body_bytes_total":          {"application"},
	"gatehouse_response_body_bytes_total":         {"application"},
	"gatehouse_requests_refused_total":            {"application", "check"},
	"gatehouse_requests_timed_out_total":          {"application", "limit"},
	"gatehouse_program_exits_total":               {"application", "status"},
	"gatehouse_program_signals_total":             {"application"},
	"gatehouse_connections_accepted_total":        {"protocol"},
	"gatehouse_programs_refused_total":            {"application"},
	"gatehouse_queue_refused_total":               {"application"},
	"gatehouse_connections_evicted_total":         {"protocol"},
	"gatehouse_accept_failures_total":             {"protocol"},
	"gatehouse_panics_total":                      {"application"},
	"gatehouse_requests_aborted_total":            {"application"},
	"gatehouse_reloads_total":                     {"result"},
	"gatehouse_spool_refused_total":               {},
	"gatehouse_requests_in_flight":                {"application"},
	"gatehouse_requests_waiting":                  {"application"},
	"gatehouse_kept_processes_failing":            {"application"},
	"gatehouse_listener_connections":              {"protocol"},
	"gatehouse_listener_connections_waited_total": {"protocol"},
}

func newLoad(g *gatehouse) *load {
	l := &load{gatehouse: g, figures: make(map[string]map[string]float64)}
	for name := range figures {
		l.figures[name] = make(map[string]float64)
	}
	return l
}

// add adds to a figure. mu is held.
func (l *load) add(name string, n float64, labels ...string) {
	if n != 0 {
		l.figures[name][fmt.Sprint(labels)] += n
	}
}

// known returns what the figures of a query are, but for those that are 0.
func (l *load) known(name string) map[string]float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.figures[name])
}

// forget drops what is known of an application that is not served any more.
func (l *load) forget(application string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, labels := range figures {
		for values := range l.figures[name] {
			if len(labels) > 0 && labels[0] == "application" && (values == "["+application+"]" || len(values) > len(application)+1 && values[:len(application)+2] == "["+application+" ") {
				delete(l.figures[name], values)
			}
		}
	}
}

// errLeft ends a request whose client leaves.
var errLeft = errors.New("the client leaves")

// A reader takes the body of a response, and leaves.
type reader struct{ leave, read int }

func (r *reader) Write(p []byte) (int, error) {
	r.read += len(p)
	if r.leave > 0 && r.read >= r.leave {
		return len(p), errLeft
	}
	return len(p), nil
}

// protocols are those of the load, with their names in package probe.
var protocols = map[string]probe.Protocol{"fastcgi": probe.FastCGI, "http": probe.HTTP}

// do makes a request, and notes what comes of it. It returns an error if that is not what
// must.
func (l *load) do(ctx context.Context, protocol string, k *kind) error {
	target := &probe.Target{Protocol: protocols[protocol], Dial: func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", l.gatehouse.address[protocol])
	}}
	uri, method := k.application+k.path, "GET"
	env := []string{"REQUEST_URI=" + uri, "SCRIPT_NAME=" + uri, "QUERY_STRING=", "HTTP_HOST=www.example.org", "SERVER_PROTOCOL=HTTP/1.1", "REMOTE_ADDR=192.0.2.1"}
	body := bytes.Repeat([]byte("0123456789"), k.body/10)
	out := &reader{leave: k.leave}
	r := &probe.Request{Output: out}
	if k.body > 0 {
		method = "POST"
		r.Body = &probe.Body{ReaderAt: bytes.NewReader(body), Size: int64(len(body))}
		env = append(env, "CONTENT_LENGTH="+strconv.Itoa(len(body)))
	}
	r.Method, r.Env = method, cgi.NewEnviron(append(env, "REQUEST_METHOD="+method)...)
	res, err := target.Do(ctx, r)
	class := strconv.Itoa(res.Code/100) + "xx"
	switch {
	case errors.Is(err, errLeft):
		class = "gone"
	case err != nil && res.Code != 0:
		class = "truncated"
	case err != nil:
		return fmt.Errorf("%s %s: %w", protocol, uri, err)
	}
	if class != k.class {
		return fmt.Errorf("%s %s: %s (%d, %v), want %s", protocol, uri, class, res.Code, err, k.class)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.add("gatehouse_requests_total", 1, k.application, protocol, class)
	l.add("gatehouse_connections_accepted_total", 1, protocol)
	l.add("gatehouse_request_duration_seconds_count", 1, k.application)
	l.add("gatehouse_request_first_byte_seconds_count", 1, k.application)
	l.add("gatehouse_request_body_bytes_total", float64(k.body), k.application)
	l.add("gatehouse_response_body_bytes_total", float64(out.read), k.application)
	if k.check != "" {
		l.add("gatehouse_requests_refused_total", 1, k.application, k.check)
	}
	if k.limit != "" {
		l.add("gatehouse_requests_timed_out_total", 1, k.application, k.limit)
	}
	switch k.exit {
	case "":
	case "signal":
		l.add("gatehouse_program_signals_total", 1, k.application)
	default:
		l.add("gatehouse_program_exits_total", 1, k.application, k.exit)
	}
	return nil
}

// run makes all kinds of requests over all protocols for a time, and each at least once.
func (l *load) run(t *testing.T, d time.Duration, more ...kind) {
	t.Helper()
	end := time.Now().Add(d)
	var all sync.WaitGroup
	for protocol := range protocols {
		for i := range 2 {
			all.Go(func() {
				list := append(kinds[:len(kinds):len(kinds)], more...)
				for n := i * len(list) / 2; n < len(list)*(i+2)/2 || time.Now().Before(end); n++ {
					if err := l.do(t.Context(), protocol, &list[n%len(list)]); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
	}
	all.Wait()
}
