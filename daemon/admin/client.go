package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// maxStatus bounds what a Client reads of a response, in bytes.
const maxStatus = 16 << 20

// A Client asks a running gateway at an admin address.
type Client struct {
	// Network is "unix" or "tcp", and Address a path or HOST:PORT.
	Network, Address string

	// Token is needed to abort requests over TCP.
	Token string
}

// Status returns what the gateway does.
func (c *Client) Status(ctx context.Context) (*Status, error) {
	body, err := c.do(ctx, "GET", "/status.json", nil)
	if err != nil {
		return nil, err
	}
	s := new(Status)
	if err := json.Unmarshal(body, s); err != nil {
		return nil, fmt.Errorf("%s: not the status of a gatehouse: %w", c.Address, err)
	}
	return s, nil
}

// Look returns what a request in flight does, by its number or its id in the log.
func (c *Client) Look(ctx context.Context, id string) (*Detail, error) {
	body, err := c.do(ctx, "GET", "/request.json?"+url.Values{"id": {id}}.Encode(), nil)
	if err != nil {
		return nil, err
	}
	d := new(Detail)
	if err := json.Unmarshal(body, d); err != nil {
		return nil, fmt.Errorf("%s: not the answer of a gatehouse: %w", c.Address, err)
	}
	return d, nil
}

// Abort ends a request in flight.
func (c *Client) Abort(ctx context.Context, id string) error {
	_, err := c.do(ctx, "POST", "/abort", url.Values{"id": {id}})
	return err
}

// do makes a request, and returns the body of the response.
func (c *Client) do(ctx context.Context, method, path string, form url.Values) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, c.Network, c.Address)
	}}
	defer transport.CloseIdleConnections()
	host := c.Address
	if c.Network == "unix" {
		host = "localhost"
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://"+host+path, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Address, err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if c.Token != "" {
		r.Header.Set("Authorization", "Bearer "+c.Token)
	}
	resp, err := transport.RoundTrip(r)
	if err != nil {
		return nil, c.explain(ctx, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxStatus+1))
	switch {
	case err != nil:
		return nil, c.explain(ctx, err)
	case len(body) > maxStatus:
		return nil, fmt.Errorf("%s: the response is longer than %d bytes", c.Address, maxStatus)
	case resp.StatusCode != http.StatusOK && strings.HasPrefix(resp.Header.Get("Content-Type"), "text/plain"):
		return nil, fmt.Errorf("%s: %s", c.Address, printable(clip(strings.TrimSpace(string(body)))))
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%s answers with status %d: is it the admin address of a gatehouse?", c.Address, resp.StatusCode)
	}
	return body, nil
}

// explain says what to do about an error.
func (c *Client) explain(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, syscall.ENOENT):
		return fmt.Errorf("%s: there is no such socket: start the service (gatehouse.service), or gatehouse with admin = \"unix:%[1]s\", or write --admin with the address that it has", c.Address)
	case errors.Is(err, errRefused):
		return fmt.Errorf("%s: no gatehouse listens there: start it, or write --admin with the address that it has", c.Address)
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return fmt.Errorf("%s: this user may not connect: use sudo, or write a group into the address, as in admin = \"unix:%[1]s,group=adm\"", c.Address)
	case errors.Is(ctx.Err(), context.Canceled):
		return fmt.Errorf("%s: interrupted before there was an answer", c.Address)
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("%s: no answer within %v", c.Address, patience)
	}
	return fmt.Errorf("%s: %w", c.Address, err)
}

// A Level is how well a gateway is, as monitoring systems count.
type Level int

// The levels, which are the exit status of a check.
const (
	OK Level = iota
	Warning
	Critical
	Unknown
)

func (l Level) String() string {
	return [...]string{"OK", "WARNING", "CRITICAL", "UNKNOWN"}[l]
}

// Assess says how well the gateway is, and why it is not better. An application without a
// process, or without an address that works, is Critical, and so is a gateway that is not
// ready. A Warning is what will be one if it grows: something that is used to nine tenths of
// its limit, a queue that is half full, one in twenty requests of the last five minutes that
// failed, a reload that failed.
func (s *Status) Assess() (Level, []string) {
	level, reasons := OK, []string(nil)
	say := func(l Level, format string, args ...any) {
		level = max(level, l)
		reasons = append(reasons, fmt.Sprintf(format, args...))
	}
	if !s.Ready {
		say(Critical, "it is not ready: it drains, or has not begun")
	}
	for i := range s.Applications {
		a := &s.Applications[i]
		name := applicationName(a.Name)
		if a.Failure != "" {
			say(Critical, "%s: no process could be started: %s", name, a.Failure)
		}
		avoided := 0
		for _, x := range a.Addresses {
			if x.Failures > 0 && x.Avoided.After(s.Time) {
				avoided++
			}
		}
		if avoided > 0 {
			l := Warning
			if avoided == len(a.Addresses) {
				l = Critical
			}
			say(l, "%s: %d of %d addresses fail", name, avoided, len(a.Addresses))
		}
		if q := a.Queue; q != nil && q.Limit > 0 && 2*q.Used >= q.Limit {
			say(Warning, "%s: %d of %d places in the queue are taken", name, q.Used, q.Limit)
		}
	}
	for _, u := range []struct {
		what string
		use  Use
	}{{"descriptors", s.Process.Descriptors}, {"bytes of memory", s.Process.Memory}, {"connections", s.Connections},
		{"bytes of the spool", s.Spool}, {"bytes of the spool's memory", s.SpoolMemory}} {
		if u.use.Limit > 0 && 10*u.use.Used >= 9*u.use.Limit {
			say(Warning, "%d of %d %s are in use", u.use.Used, u.use.Limit, u.what)
		}
	}
	if s.Reloads.Failure != "" {
		first, _, _ := strings.Cut(s.Reloads.Failure, "\n")
		say(Warning, "the last reload failed: %s", first)
	}
	var ended, failed uint64
	for _, r := range s.Rates {
		if s.Time.Sub(r.Time) < 5*time.Minute {
			ended, failed = ended+r.Requests, failed+r.Failures
		}
	}
	if failed > 0 && 20*failed >= ended {
		say(Warning, "%d of %d requests failed in the last five minutes", failed, ended)
	}
	return level, reasons
}
