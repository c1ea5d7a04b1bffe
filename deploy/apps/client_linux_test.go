package apps_test

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/testkit"
)

// A client is a browser that keeps cookies, and all that it has exchanged.
type client struct {
	t    *testing.T
	http *http.Client

	user, password string // sent with each request, if there is a user
	last           string // the page before

	exchanges []exchange
}

// An exchange is a request with its response, as they are compared.
type exchange struct {
	Request string // the method and the URL, with the name of the user
	Status  int
	Header  http.Header
	Body    []byte
}

func newClient(t *testing.T) *client {
	c := &client{t: t, http: &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true, DisableCompression: true},
		Timeout:       testkit.Patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	c.forget()
	return c
}

// forget deletes the cookies.
func (c *client) forget() {
	c.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		c.t.Fatal(err)
	}
	c.http.Jar = jar
}

// A response is the last of the client's exchanges.
type response struct {
	exchange
	c   *client
	url *url.URL
}

// send sends a request, with these lines in its head.
func (c *client) send(method, target string, body io.Reader, fields ...string) *response {
	c.t.Helper()
	if strings.HasPrefix(target, "/") {
		target = "http://localhost" + target
	}
	request, err := http.NewRequest(method, target, body)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		request.Header.Set(name, value)
	}
	if c.last != "" {
		request.Header.Set("Referer", c.last)
	}
	c.last = request.URL.String()
	label := method + " " + request.URL.RequestURI()
	if c.user != "" {
		request.SetBasicAuth(c.user, c.password)
		label += " by " + c.user
	}
	got, err := c.http.Do(request)
	if err != nil {
		c.t.Fatal(err)
	}
	defer got.Body.Close()
	text, err := io.ReadAll(got.Body)
	if err != nil {
		c.t.Fatalf("%s: %v after %d bytes", label, err, len(text))
	}
	e := exchange{Request: label, Status: got.StatusCode, Header: got.Header, Body: text}
	c.exchanges = append(c.exchanges, e)
	return &response{exchange: e, c: c, url: request.URL}
}

func (c *client) get(target string) *response {
	c.t.Helper()
	return c.send("GET", target, nil)
}

// wait gets a page until it has a text. Only the last is kept.
func (c *client) wait(what, target, text string) *response {
	c.t.Helper()
	var r *response
	if !testkit.Poll(func() bool {
		before := len(c.exchanges)
		if r = c.get(target); strings.Contains(string(r.Body), text) {
			return true
		}
		c.exchanges = c.exchanges[:before]
		return false
	}) {
		c.t.Fatalf("%s: not true after %v: status %d\n%.3000s", what, testkit.Patience, r.Status, r.Body)
	}
	return r
}

// post sends a form.
func (c *client) post(target string, form url.Values) *response {
	c.t.Helper()
	return c.send("POST", target, strings.NewReader(form.Encode()), "Content-Type: application/x-www-form-urlencoded")
}

// upload sends a form with a file in the named field. It has the same boundary each time.
func (c *client) upload(target string, form url.Values, field, file string, content []byte) *response {
	c.t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	if err := w.SetBoundary("----boundary-of-gatehouse"); err != nil {
		c.t.Fatal(err)
	}
	names := make([]string, 0, len(form))
	for name := range form {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, value := range form[name] {
			w.WriteField(name, value)
		}
	}
	part, err := w.CreateFormFile(field, file)
	if err != nil {
		c.t.Fatal(err)
	}
	part.Write(content)
	w.Close()
	return c.send("POST", target, &body, "Content-Type: "+w.FormDataContentType())
}

// want checks the status, the beginning of the type, and that the page has all of some texts.
func (r *response) want(status int, contentType string, texts ...string) *response {
	r.c.t.Helper()
	if r.Status != status {
		r.c.t.Errorf("%s: status %d; want %d\n%.3000s", r.Request, r.Status, status, r.Body)
		return r
	}
	if got := r.Header.Get("Content-Type"); !strings.HasPrefix(got, contentType) {
		r.c.t.Errorf("%s: Content-Type %q; want %s", r.Request, got, contentType)
	}
	for _, text := range texts {
		if !strings.Contains(string(r.Body), text) {
			r.c.t.Errorf("%s: the page lacks %q\n%.3000s", r.Request, text, r.Body)
		}
	}
	return r
}

// lacks checks that the page has none of some texts.
func (r *response) lacks(texts ...string) *response {
	r.c.t.Helper()
	for _, text := range texts {
		if strings.Contains(string(r.Body), text) {
			r.c.t.Errorf("%s: the page has %q\n%.3000s", r.Request, text, r.Body)
		}
	}
	return r
}

// wantImage checks that the response is an image, of image/png or image/gif.
func (r *response) wantImage(contentType string) *response {
	r.c.t.Helper()
	r.want(http.StatusOK, contentType)
	begin := map[string]string{"image/png": "\x89PNG\r\n\x1a\n", "image/gif": "GIF8"}[contentType]
	if begin == "" || !strings.HasPrefix(string(r.Body), begin) {
		r.c.t.Errorf("%s: no %s: %.40q", r.Request, contentType, r.Body)
	}
	return r
}

// follow gets what Location names.
func (r *response) follow() *response {
	r.c.t.Helper()
	to, err := r.url.Parse(r.Header.Get("Location"))
	if err != nil || r.Header.Get("Location") == "" || r.Status < 300 || r.Status > 399 {
		r.c.t.Fatalf("%s: status %d, Location %q, %v: no redirect\n%.3000s", r.Request, r.Status, r.Header.Get("Location"), err, r.Body)
	}
	return r.c.get(to.String())
}

// find returns what the group of a regular expression matches in the page.
func (r *response) find(pattern string) string {
	r.c.t.Helper()
	m := regexp.MustCompile(pattern).FindSubmatch(r.Body)
	if m == nil {
		r.c.t.Fatalf("%s: nothing like %s\n%.5000s", r.Request, pattern, r.Body)
	}
	return string(m[1])
}

var (
	inputs = regexp.MustCompile(`(?is)<input\b[^>]*>`)
	names  = regexp.MustCompile(`(?is)\bname\s*=\s*["']?([^"'\s>]*)`)
	values = regexp.MustCompile(`(?is)\bvalue\s*=\s*(?:"([^"]*)"|'([^']*)'|([^"'\s>]+))`)
	hidden = regexp.MustCompile(`(?is)\btype\s*=\s*["']?hidden`)
)

// hidden returns the hidden fields of the forms in the page.
func (r *response) hidden() url.Values {
	form := make(url.Values)
	for _, input := range inputs.FindAllString(string(r.Body), -1) {
		name := names.FindStringSubmatch(input)
		if name == nil || !hidden.MatchString(input) {
			continue
		}
		if value := values.FindStringSubmatch(input); value != nil {
			form.Set(name[1], value[1]+value[2]+value[3])
		}
	}
	return form
}

// ownFields are fields of the gateway and of nginx: known lengths are sent, and so a response is
// chunked with fcgiwrap. The client has checked that the body is whole.
var ownFields = []string{"Connection", "Content-Length", "Date", "Transfer-Encoding"}

// What varies in more than one application.
var (
	httpDates = variation{`(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT`, "fields have times"}
	fileTags  = variation{`Etag: "[0-9a-f]+-[0-9a-f]+"`, "nginx makes the tag of a file of the time when it was written"}
)

// lines returns the exchange as it is compared: the request, the status, the head fields in
// order, and the body, without what the patterns match.
func (e exchange) lines(patterns []*regexp.Regexp) []string {
	lines := []string{e.Request, http.StatusText(e.Status)}
	var fields []string
	for name, values := range e.Header {
		if !slices.Contains(ownFields, name) {
			fields = append(fields, name+": "+strings.Join(values, "\n"))
		}
	}
	slices.Sort(fields)
	lines = append(lines, fields...)
	text := strings.Join(lines, "\n") + "\n\n" + string(e.Body)
	for _, p := range patterns {
		text = p.ReplaceAllString(text, "(varies)")
	}
	return strings.Split(text, "\n")
}
