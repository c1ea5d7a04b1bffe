package daemon

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"gatehouse/cgi"
)

// An AccessField is a field of access_log_format, in which it is written "$name" or "${name}".
type AccessField struct {
	Name string
	Text string // its meaning and unit, in one line

	// One of them is set. text is what a client may have chosen, so that it is escaped; plain
	// appends what needs no escaping; number, too, and JSON has it without quotes. All give
	// nothing for what is not known.
	text   func(*cgi.Request, *cgi.Result) string
	plain  func([]byte, *cgi.Request, *cgi.Result) []byte
	number func([]byte, *cgi.Request, *cgi.Result) []byte
}

// AccessFields returns the fields of access_log_format. nginx has those of the same name, with
// the same meaning, but that the time is that of the beginning, as in Apache. There is
// "http_NAME" besides, for any header field of the request.
func AccessFields() []AccessField {
	return []AccessField{
		{Name: "request_id", Text: "the request's id", plain: func(b []byte, r *cgi.Request, _ *cgi.Result) []byte { return r.AppendRequestID(b) }},
		{Name: "trace_id", Text: "the trace-id of its traceparent (W3C)", plain: func(b []byte, r *cgi.Request, _ *cgi.Result) []byte {
			t, _ := r.Env.TraceParent()
			return append(b, t.TraceID...)
		}},
		{Name: "span_id", Text: "the parent-id of its traceparent", plain: func(b []byte, r *cgi.Request, _ *cgi.Result) []byte {
			t, _ := r.Env.TraceParent()
			return append(b, t.SpanID...)
		}},
		variable("remote_addr", "the client's address", "REMOTE_ADDR"),
		variable("remote_port", "the client's port", "REMOTE_PORT"),
		variable("remote_user", "the user that the web server has authenticated", "REMOTE_USER"),
		variable("request_method", "the method", "REQUEST_METHOD"),
		{Name: "request_uri", Text: "path and query, as the client sent them", text: func(r *cgi.Request, _ *cgi.Result) string { return r.Env.RequestTarget() }},
		variable("server_protocol", "the protocol, such as HTTP/1.1", "SERVER_PROTOCOL"),
		variable("host", "the header field Host", "HTTP_HOST"),
		variable("server_name", "the name of the server", "SERVER_NAME"),
		variable("server_port", "the port of the server", "SERVER_PORT"),
		{Name: "request", Text: `the first line of the request: "$request_method $request_uri $server_protocol"`},
		{Name: "application", Text: "the prefix of the [[app]]", text: func(_ *cgi.Request, res *cgi.Result) string { return res.Application }},
		{Name: "program", Text: "the path of the program, or the address that the request was passed on to", text: func(r *cgi.Request, res *cgi.Result) string {
			return cmp.Or(res.Usage.Program, r.Script)
		}},
		{Name: "pid", Text: "the number of its process", number: func(b []byte, _ *cgi.Request, res *cgi.Result) []byte {
			return appendCount(b, int64(res.Usage.PID))
		}},
		{Name: "status", Text: "the status that was sent, or 499 if the client left before the end", number: func(b []byte, _ *cgi.Request, res *cgi.Result) []byte {
			if res.End == cgi.Aborted {
				return append(b, "499"...)
			}
			return appendCount(b, int64(res.Code))
		}},
		{Name: "sent_status", Text: "the status that was sent, even if the client left", number: func(b []byte, _ *cgi.Request, res *cgi.Result) []byte {
			return appendCount(b, int64(res.Code))
		}},
		{Name: "end", Text: "complete, truncated, or aborted (the client left)", plain: func(b []byte, _ *cgi.Request, res *cgi.Result) []byte {
			return append(b, res.End.String()...)
		}},
		{Name: "body_bytes_sent", Text: "bytes of body that were sent", number: func(b []byte, _ *cgi.Request, res *cgi.Result) []byte {
			return strconv.AppendInt(b, res.Bytes, 10)
		}},
		{Name: "request_body_bytes", Text: "bytes of the request's body that were read", number: func(b []byte, _ *cgi.Request, res *cgi.Result) []byte {
			return strconv.AppendInt(b, res.BytesIn, 10)
		}},
		{Name: "request_time", Text: "from the beginning to the end, in seconds", number: func(b []byte, _ *cgi.Request, res *cgi.Result) []byte {
			return appendSeconds(b, res.Duration)
		}},
		{Name: "first_byte_time", Text: "from the beginning to the head of the response, in seconds", number: func(b []byte, _ *cgi.Request, res *cgi.Result) []byte {
			if res.FirstByte == 0 {
				return b
			}
			return appendSeconds(b, res.FirstByte)
		}},
		{Name: "queue_time", Text: "waiting for its turn, in seconds; 0.000000 if it did not", number: func(b []byte, _ *cgi.Request, res *cgi.Result) []byte {
			return appendSeconds(b, res.Usage.Queued)
		}},
		{Name: "time_local", Text: "when it began, as 21/Nov/2026:08:00:00 +0000", plain: func(b []byte, _ *cgi.Request, res *cgi.Result) []byte {
			return res.Start.AppendFormat(b, "02/Jan/2006:15:04:05 -0700")
		}},
		{Name: "time_iso8601", Text: "when it began, as 2026-11-21T08:00:00.000+00:00", plain: func(b []byte, _ *cgi.Request, res *cgi.Result) []byte {
			return res.Start.AppendFormat(b, isoTime)
		}},
		{Name: "end_iso8601", Text: "when it ended, likewise", plain: func(b []byte, _ *cgi.Request, res *cgi.Result) []byte {
			return res.Start.Add(res.Duration).AppendFormat(b, isoTime)
		}},
		{Name: "msec", Text: "when it began, in seconds since 1970", number: func(b []byte, _ *cgi.Request, res *cgi.Result) []byte {
			return appendSeconds(b, time.Duration(res.Start.UnixNano()))
		}},
		{Name: "exit", Text: "the exit status of the program, if it has exited by then", number: func(b []byte, _ *cgi.Request, res *cgi.Result) []byte {
			if u := &res.Usage; !u.Exited || u.Signal != "" {
				return b
			}
			return strconv.AppendInt(b, int64(res.Usage.ExitStatus), 10)
		}},
		{Name: "signal", Text: "the signal that ended the program, such as SIGKILL", text: func(_ *cgi.Request, res *cgi.Result) string { return res.Usage.Signal }},
		{Name: "cpu_time", Text: "processor time of the program and its children, in seconds, if it has exited", number: func(b []byte, _ *cgi.Request, res *cgi.Result) []byte {
			if !res.Usage.Exited {
				return b
			}
			return appendSeconds(b, res.Usage.User+res.Usage.System)
		}},
		{Name: "peak_memory", Text: "the most memory that one of them had (resident), in bytes", number: func(b []byte, _ *cgi.Request, res *cgi.Result) []byte {
			return appendCount(b, res.Usage.PeakMemory)
		}},
		{Name: "check", Text: "what refused or ended the request, such as queue or first_byte", text: func(_ *cgi.Request, res *cgi.Result) string { return res.Check }},
	}
}

const isoTime = "2006-01-02T15:04:05.000-07:00"

// variable is a field that shows a variable of the request.
func variable(name, text, variable string) AccessField {
	return AccessField{Name: name, Text: text, text: func(r *cgi.Request, _ *cgi.Result) string { return r.Env.Get(variable) }}
}

// headerField is the field "http_NAME".
func headerField(name string) AccessField { return variable(name, "", strings.ToUpper(name)) }

// isHeaderField reports whether name is "http_NAME".
func isHeaderField(name string) bool {
	return len(name) > len("http_") && strings.HasPrefix(name, "http_")
}

// appendCount appends n unless it is zero.
func appendCount(b []byte, n int64) []byte {
	if n == 0 {
		return b
	}
	return strconv.AppendInt(b, n, 10)
}

// appendSeconds appends a time in seconds, to the microsecond.
func appendSeconds(b []byte, d time.Duration) []byte {
	us := max(0, int64(d/time.Microsecond))
	b = strconv.AppendInt(b, us/1e6, 10)
	b = append(b, '.')
	for unit := int64(1e5); unit > 0; unit /= 10 {
		b = append(b, byte('0'+us/unit%10))
	}
	return b
}
