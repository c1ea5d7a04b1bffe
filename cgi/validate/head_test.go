package validate_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"gatehouse/cgi"
	"gatehouse/cgi/validate"
)

// A head, and what comes of it.
type headCase struct {
	status   string
	fields   string // "Name:value", separated by "; "
	broken   bool
	warnings string
}

func fieldsOf(s string) (fields []cgi.Field) {
	if s == "" {
		return nil
	}
	for _, f := range strings.Split(s, "; ") {
		name, value, _ := strings.Cut(f, "=")
		fields = append(fields, cgi.Field{Name: name, Value: value})
	}
	return fields
}

// checkHeads gives each head by StartResponse, with and without looking at the error,
// and by ReplaceResponse.
func checkHeads(t *testing.T, rule string, cases []headCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.status+" "+c.fields, func(t *testing.T) {
			fields := fieldsOf(c.fields)
			for name, app := range map[string]cgi.AppFunc{
				"started":  answer(c.status, "", fields...),
				"careless": deaf(c.status, "", fields...),
				"replaced": func(w cgi.ResponseWriter, r *cgi.Request) error {
					if err := w.StartResponse("200 OK", []cgi.Field{plain}); err != nil {
						t.Error(err)
					}
					return cgi.ReplaceResponse(w, errors.New("cause"), c.status, fields)
				},
			} {
				t.Run(name, func(t *testing.T) {
					r := serve(t, request(), app)
					if c.broken {
						r.broke(t, rule)
					} else {
						r.kept(t, strings.Fields(c.warnings)...)
					}
				})
			}
		})
	}
}

const ct = "Content-Type=a/b"

func TestV18Status(t *testing.T) {
	checkHeads(t, "V18", []headCase{
		{"", ct, true, ""},
		{" ", ct, true, ""},
		{"2000 OK", ct, true, ""},
		{"200OK", ct, true, ""},
		{"20 OK", ct, true, ""},
		{"20X OK", ct, true, ""},
		{"+20 OK", ct, true, ""},
		{"099 Low", ct, true, ""},
		{"200 OK", ct, false, ""},
		{"999 High", ct, false, ""},
		{"200 ", ct, false, ""},
	})
}

// TestV19Reason: the gateway refuses what the warning is about.
func TestV19Reason(t *testing.T) {
	for _, status := range []string{"200", "200\tOK", " 200 OK"} {
		r := serve(t, request(), answer(status, "", plain))
		if len(r.warnings) != 1 || r.warnings[0].Rule != "V19" {
			t.Errorf("%q: warnings %v", status, r.warnings)
		}
		if !errors.Is(r.result.Err, cgi.ErrStatus) || errors.As(r.result.Err, new(*validate.Error)) {
			t.Errorf("%q: error %v", status, r.result.Err)
		}
	}
}

func TestV23Status(t *testing.T) {
	checkHeads(t, "V23", []headCase{{"200 OK", ct + "; sTATUS=200 OK", true, ""}, {"200 OK", ct + "; Status-Of=x", false, ""}})
}

func TestV24Colon(t *testing.T) {
	checkHeads(t, "V24", []headCase{
		{"200 OK", ct + "; X:=y", true, ""},
		{"200 OK", ct + "; X\nY=z", true, ""},
		{"200 OK", ct + "; Status:=z", true, ""},
	})
}

func TestV25Name(t *testing.T) {
	checkHeads(t, "V25", []headCase{
		{"200 OK", ct + "; =y", true, ""},
		{"200 OK", ct + "; 1X=y", true, ""},
		{"200 OK", ct + "; -X=y", true, ""},
		{"200 OK", ct + "; X Y=z", true, ""},
		{"200 OK", ct + "; X.Y=z", true, ""},
		{"200 OK", ct + "; X\rY=z", true, ""},
		{"200 OK", ct + "; X\u00e9=z", true, ""},
		{"200 OK", ct + "; X@=z", true, ""},
		{"200 OK", ct + "; x-1_2=y", false, ""},
	})
}

func TestV26NameEnd(t *testing.T) {
	checkHeads(t, "V26", []headCase{{"200 OK", ct + "; X-=y", true, ""}, {"200 OK", ct + "; X_=y", true, ""}})
}

func TestV27Value(t *testing.T) {
	checkHeads(t, "V27", []headCase{
		{"200 OK", ct + "; X=a\tb", true, ""},
		{"200 OK", ct + "; X=a\r\nSet-Cookie: b", true, ""},
		{"200 OK", ct + "; X=\x00", true, ""},
		{"200 OK", ct + "; X=\x1f", true, ""},
		{"200 OK", ct + "; X= \u00e9\xff", false, ""},
		{"200 OK", ct + "; X=", false, ""},
	})
	// DEL is the gateway's to refuse.
	r := serve(t, request(), answer("200 OK", "", plain, cgi.Field{Name: "X", Value: "\x7f"}))
	if !errors.Is(r.result.Err, cgi.ErrField) || errors.As(r.result.Err, new(*validate.Error)) {
		t.Errorf("error %v", r.result.Err)
	}
}

func TestV28Type(t *testing.T) {
	checkHeads(t, "V28", []headCase{
		{"200 OK", "", true, ""},
		{"302 Found", "Location=/x", true, ""},
		{"404 Not Found", "X-Content-Type=a/b", true, ""},
		{"200 OK", "content-type=", false, ""},
	})
}

func TestV29NoType(t *testing.T) {
	checkHeads(t, "V29", []headCase{
		{"204 No Content", ct, true, ""},
		{"304 Not Modified", "content-TYPE=a/b", true, ""},
		{"204 No Content", "", false, ""},
		{"304 Not Modified", "ETag=x", false, ""},
	})
}

func TestV44HopByHop(t *testing.T) {
	var cases []headCase
	for _, name := range strings.Fields("connection Keep-Alive Proxy-Authenticate Proxy-Authorization TE Trailers Transfer-Encoding Upgrade Trailer Proxy-Connection") {
		cases = append(cases, headCase{"200 OK", ct + "; " + name + "=x", true, ""})
	}
	checkHeads(t, "V44", append(cases, headCase{"200 OK", ct + "; Via=x", false, ""}))
}

// TestInformational: the fields of a 1xx keep the rules too, and it needs no type.
func TestInformational(t *testing.T) {
	inform := func(fields ...cgi.Field) cgi.AppFunc {
		return func(w cgi.ResponseWriter, r *cgi.Request) error {
			_ = cgi.WriteInformational(w, http.StatusEarlyHints, fields)
			return hello(w, r)
		}
	}
	r := serve(t, request(), inform(cgi.Field{Name: "Link", Value: "</a>"}))
	r.kept(t)
	if len(r.sink.informed) != 1 || r.sink.informed[0] != 103 {
		t.Errorf("informed %v", r.sink.informed)
	}
	r = serve(t, request(), inform(cgi.Field{Name: "Link_", Value: "</a>"}))
	r.broke(t, "V26")
	if len(r.sink.informed) != 0 {
		t.Errorf("informed %v", r.sink.informed)
	}
}

// FuzzHead: a head that keeps all rules, and draws no warning, is one that the
// gateway sends as it is; nothing panics.
func FuzzHead(f *testing.F) {
	f.Add("200 OK", "Content-Type", "text/plain")
	f.Add("204 ", "X-Y_Z", "a b")
	f.Add("20X", "Status", "\r\n")
	f.Add("304 Not\x00", "Content-Length", "5")
	f.Fuzz(func(t *testing.T, status, name, value string) {
		fields := []cgi.Field{{Name: name, Value: value}}
		if !strings.HasPrefix(status, "204") && !strings.HasPrefix(status, "304") {
			fields = append(fields, plain)
		}
		r := serve(t, request("REQUEST_METHOD=GET"), answer(status, "", fields...))
		if r.result.Err != nil || len(r.warnings) > 0 {
			return
		}
		text := r.sink.String()
		if !strings.HasPrefix(text, "Status: "+status+"\r\n") {
			t.Fatalf("status %q: got %q", status, text)
		}
		if strings.EqualFold(name, "Content-Length") {
			return
		}
		if field := "\r\n" + name + ": " + strings.Trim(value, " \t") + "\r\n"; !strings.Contains(text, field) {
			t.Fatalf("%q: got %q", field, text)
		}
	})
}
