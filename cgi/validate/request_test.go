package validate_test

import (
	"strings"
	"testing"

	"gatehouse/cgi"
	"gatehouse/cgi/validate"
)

// A change of a request, and what comes of it.
type requestCase struct {
	changes  string // separated by spaces
	broken   bool
	warnings string
}

func checkRequests(t *testing.T, rule string, cases []requestCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(strings.ReplaceAll(c.changes, "/", "|"), func(t *testing.T) {
			called := false
			r := serve(t, request(strings.Fields(c.changes)...), func(w cgi.ResponseWriter, r *cgi.Request) error {
				called = true
				return hello(w, r)
			})
			if c.broken {
				r.broke(t, rule)
			} else {
				r.kept(t, strings.Fields(c.warnings)...)
			}
			if called == c.broken {
				t.Errorf("the application was called: %v", called)
			}
		})
	}
}

func TestNothingIsWrong(t *testing.T) {
	r := serve(t, request(), hello)
	r.kept(t)
	if want := "Status: 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"; r.sink.String() != want {
		t.Errorf("got %q", r.sink)
	}
}

func TestV3Required(t *testing.T) {
	checkRequests(t, "V3", []requestCase{
		{"-REQUEST_METHOD", true, ""},
		{"-SERVER_NAME", true, ""},
		{"-SERVER_PORT", true, ""},
		{"SERVER_NAME=", false, ""},
		{"-SERVER_PROTOCOL", false, ""},
	})
	for name, r := range map[string]*cgi.Request{
		"Env":    {Body: strings.NewReader(""), Stderr: new(strings.Builder)},
		"Body":   {Env: request().Env, Stderr: new(strings.Builder)},
		"Stderr": {Env: request().Env, Body: strings.NewReader("")},
	} {
		err := (&validate.App{App: hello}).ServeCGI(nil, r)
		if e, ok := err.(*validate.Error); !ok || e.Rule != "V3" {
			t.Errorf("without %s: %v", name, err)
		}
	}
}

func TestV4BodyVariables(t *testing.T) {
	checkRequests(t, "V4", []requestCase{
		{"HTTP_CONTENT_TYPE=a/b", true, ""},
		{"HTTP_CONTENT_LENGTH=0", true, ""},
		{"HTTP_CONTENT_TYPE=a/b CONTENT_TYPE=a/c", true, ""},
		{"HTTP_CONTENT_LENGTH=5 CONTENT_LENGTH=0", true, ""},
		{"HTTP_CONTENT_TYPE=a/b CONTENT_TYPE=a/b HTTP_CONTENT_LENGTH=0 CONTENT_LENGTH=0", false, "V4 V4"},
		{"CONTENT_TYPE=a/b CONTENT_LENGTH=0", false, ""},
	})
}

func TestV5Query(t *testing.T) {
	checkRequests(t, "V5", []requestCase{{"-QUERY_STRING", false, "V5"}, {"QUERY_STRING=a=b", false, ""}})
}

func TestV6NUL(t *testing.T) {
	checkRequests(t, "V6", []requestCase{{"X=a\x00b", true, ""}, {"X\x00Y=a", true, ""}, {"X=\x01", false, ""}})
}

func TestV8Scheme(t *testing.T) {
	checkRequests(t, "V8", []requestCase{
		{"wsgi.url_scheme=http", false, ""},
		{"wsgi.url_scheme=https", false, ""},
		{"wsgi.url_scheme=ftp", true, ""},
		{"wsgi.url_scheme=HTTP", true, ""},
		{"wsgi.url_scheme=", true, ""},
		{"REQUEST_SCHEME=HTTPS", false, ""},
		{"REQUEST_SCHEME=", false, ""},
		{"REQUEST_SCHEME=ws", true, ""},
	})
	for _, scheme := range []string{"https", "gopher"} {
		r := request()
		r.Env.SetScheme(scheme) // by Handler.Scheme, or a front-end
		if out := serve(t, r, hello); scheme == "https" {
			out.kept(t)
		} else {
			out.broke(t, "V8")
		}
	}
}

func TestV11Method(t *testing.T) {
	cases := []requestCase{
		{"REQUEST_METHOD=CONNECT", false, "V11"},
		{"REQUEST_METHOD=get", false, "V11"},
		{"REQUEST_METHOD=", false, "V11"},
		{"REQUEST_METHOD=HEAD", false, "V45"},
	}
	for _, m := range strings.Fields("GET POST OPTIONS PATCH PUT DELETE TRACE") {
		cases = append(cases, requestCase{"REQUEST_METHOD=" + m, false, ""})
	}
	checkRequests(t, "V11", cases)
}

func TestV12ScriptName(t *testing.T) {
	checkRequests(t, "V12", []requestCase{{"SCRIPT_NAME=x", true, ""}, {"SCRIPT_NAME=/x", false, ""}, {"-SCRIPT_NAME", false, ""}})
}

func TestV13PathInfo(t *testing.T) {
	checkRequests(t, "V13", []requestCase{{"PATH_INFO=x", true, ""}, {"PATH_INFO=*", true, ""}, {"PATH_INFO=", false, ""}})
}

func TestV14ContentLength(t *testing.T) {
	checkRequests(t, "V14", []requestCase{
		{"CONTENT_LENGTH=-1", true, ""},
		{"CONTENT_LENGTH=+5", true, ""},
		{"CONTENT_LENGTH=1_0", true, ""},
		{"CONTENT_LENGTH=0x1", true, ""},
		{"CONTENT_LENGTH=five", true, ""},
		{"CONTENT_LENGTH=9223372036854775808", true, ""},
		{"CONTENT_LENGTH=", false, ""},
		{"CONTENT_LENGTH=0", false, ""},
	})
	r := request()
	r.Env.Set("CONTENT_LENGTH", " 5")
	serve(t, r, hello).broke(t, "V14")
}

func TestV15EitherPath(t *testing.T) {
	checkRequests(t, "V15", []requestCase{
		{"-PATH_INFO", true, ""},
		{"-PATH_INFO -SCRIPT_NAME", true, ""},
		{"-PATH_INFO SCRIPT_NAME=/x", false, ""},
		{"PATH_INFO= -SCRIPT_NAME", false, ""},
	})
}

func TestV16RootScript(t *testing.T) {
	checkRequests(t, "V16", []requestCase{{"SCRIPT_NAME=/", true, ""}, {"SCRIPT_NAME=/x/", false, ""}})
}

func TestV47Names(t *testing.T) {
	checkRequests(t, "V47", []requestCase{
		{"X(1)=a", true, ""},
		{"X\u00e9=a", true, ""},
		{"X:Y=a", true, ""},
		{"Path_Info=/", true, ""},
		{"x=1 X=2", true, ""},
		{"!#$%&'*+-.^_`|~09azAZ=a", false, ""},
		{"lower=a", false, ""},
	})
	r := request("X(1)=a", "no_proxy=a", "NO_PROXY=b")
	r.RunOnce = true
	serve(t, r, hello).kept(t)
}
