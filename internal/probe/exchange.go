package probe

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"gatehouse/cgi"
	"gatehouse/cgi/cgihead"
	"gatehouse/fastcgi/client"
	"gatehouse/scgi"
)

// fastcgi makes a request by FastCGI.
func (x *exchange) fastcgi(ctx context.Context) error {
	c := client.New(x.wire)
	defer c.Close()
	resp, err := c.Do(ctx, &client.Request{KeepConn: x.target.Dial != nil, Params: x.request.Env.All(), Stdin: x.request.Body.Reader(), Stderr: x.request.Stderr})
	if err != nil {
		return x.fail(err)
	}
	defer resp.Close()
	if err = x.head(resp.Head.Status, resp.Head.Code, resp.Head.Fields); err == nil {
		err = x.body(resp, resp.Head.ContentLength)
	}
	if end, ok := resp.End(); ok {
		x.result.AppStatus = end.AppStatus
	}
	return x.fail(err)
}

// scgi makes a request by SCGI.
func (x *exchange) scgi() error {
	size := int64(0)
	if x.request.Body != nil {
		size = x.request.Body.Size
	}
	headers, err := scgi.AppendHeaders(nil, x.request.Env, size)
	if err != nil {
		return err
	}
	defer x.send(scgi.AppendNetstring(nil, headers))()
	h, rest, err := cgihead.Read(x.wire, 0)
	if err != nil {
		return x.fail(err)
	}
	if err := x.head(h.Status, h.Code, h.Fields); err != nil {
		return err
	}
	return x.fail(x.body(io.MultiReader(strings.NewReader(string(rest)), x.wire), h.ContentLength))
}

// errNotHTTP is that the first line is not one of HTTP.
var errNotHTTP = errors.New("not a status line of HTTP")

// http makes a request by HTTP/1.1.
func (x *exchange) http() error {
	r := x.request
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n", r.Method, r.Env.Get("REQUEST_URI"), r.Env.Get("HTTP_HOST"))
	for _, f := range r.Fields {
		fmt.Fprintf(&b, "%s: %s\r\n", f.Name, f.Value)
	}
	if r.Body != nil {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", r.Body.Size)
	}
	b.WriteString("\r\n")
	defer x.send([]byte(b.String()))()

	from := bufio.NewReader(x.wire)
	first, err := from.Peek(5)
	if err == nil && string(first) != "HTTP/" {
		err = errNotHTTP
	}
	var resp *http.Response
	for err == nil && (resp == nil || resp.StatusCode/100 == 1 && resp.StatusCode != http.StatusSwitchingProtocols) {
		resp, err = http.ReadResponse(from, &http.Request{Method: r.Method})
	}
	if err != nil {
		return x.fail(err)
	}
	var fields []cgi.Field
	for name, values := range resp.Header {
		for _, v := range values {
			fields = append(fields, cgi.Field{Name: name, Value: v})
		}
	}
	slices.SortStableFunc(fields, func(a, b cgi.Field) int { return cmp.Compare(a.Name, b.Name) })
	if err := x.head(resp.Status, resp.StatusCode, fields); err != nil {
		return err
	}
	return x.fail(x.body(resp.Body, -1)) // its reader checks the length
}
