//go:build linux

package cgi_test

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/cgi"
	"gatehouse/cgi/cgitest"
	"gatehouse/internal/testkit"
)

// Where ours differs from wsgiref on purpose. The cases are made so that each
// difference occurs, and is the only one that does.
const (
	differsSlash = "shift_path_info: a PATH_INFO without a slash at its beginning is read as if it had one; " +
		"wsgiref drops what comes before the first slash, and raises IndexError if there is none"
	differsScheme    = "application_uri, request_uri: without wsgi.url_scheme the scheme is guessed; wsgiref raises KeyError"
	differsFieldName = "Headers: the name of a field is a token (RFC 9110 § 5.6.2); wsgiref takes any, since 2026 any without control characters"
	differsValue     = "Headers: a value with a control character but HTAB is refused; in wsgiref since 2026"
	differsParamName = "Headers: the name of a parameter is a token, so that it cannot start another one; wsgiref takes any, as with fields"
	differsStatus    = "Headers: no field is called Status, which StartResponse sets; wsgiref takes it"
	differsTrim      = "Headers: spaces and tabs around a value are cut, as they are no part of it (RFC 9110 § 5.5); wsgiref keeps them"
	differsLookup    = "Headers: a name with a control character is not found; wsgiref since 2026 raises ValueError"

	differsEmpty      = "handlers: an empty block sends no head (PEP 3333), and is as if it were not there; wsgiref sends the head with it"
	differsAlias      = "handlers: start_response copies the fields; in wsgiref a later change of the list changes the answer"
	differsRefused    = "handlers: a head that start_response refused is never sent; wsgiref sends it if the application goes on"
	differsStatusText = "handlers: a status with a control character is refused; in wsgiref since 2026"
	differsFinal      = "handlers: a status below 200 is no final one and refused; wsgiref takes any three digits"
	differsDigits     = "handlers: the digits of a status are ASCII; wsgiref takes superscripts, which isdigit counts"
	differsLength     = "handlers: a Content-Length that is no number, or not the same as another, is refused; wsgiref takes any"
	differsLengths    = "handlers: a Content-Length that is given twice is sent once; wsgiref sends both"
	differsConnection = "handlers: fields that concern the connection are removed (RFC 3875 § 6.3.5); wsgiref refuses those that RFC 2616 names, and sends others"
	differsProtocol   = "handlers: without SERVER_PROTOCOL the client of an origin server speaks HTTP/1.0; wsgiref raises KeyError"
	differsHead       = "handlers: an answer to HEAD has no body, and no Content-Length of 0 for its absence; wsgiref sends both"
	differsBodyless   = "handlers: 204 and 304 have no body and no Content-Length; wsgiref sends both"
	differsLong       = "handlers: a body that is longer than its Content-Length is cut; wsgiref sends it"
	differsShort      = "handlers: a body that is shorter than its Content-Length is a truncation; wsgiref takes no notice"
	differsHeld       = "handlers: what fails before anything was flushed, as the only block of a list is not, becomes an error page; wsgiref has sent the block"
	differsClosing    = "handlers: a body that cannot be closed is an error like any other; wsgiref sends an error page behind the answer"
)

var allDifferences = []string{differsSlash, differsScheme, differsFieldName, differsValue, differsParamName, differsStatus, differsTrim, differsLookup,
	differsEmpty, differsAlias, differsRefused, differsStatusText, differsFinal, differsDigits, differsLength, differsLengths, differsConnection,
	differsProtocol, differsHead, differsBodyless, differsLong, differsShort, differsHeld, differsClosing}

// A pythonQuestion is a line for testdata/wsgiref.py.
type pythonQuestion map[string]any

// A pythonFamily makes one kind of question at random, with the answer that ours
// gives. To compare more, add a function to the script and a family here.
type pythonFamily struct {
	name  string
	count int
	make  func(m *maker) (ask pythonQuestion, ours any)
}

var pythonFamilies = []pythonFamily{
	{"shift_path_info", 4000, makeShift},
	{"uris", 4000, makeURIs},
	{"setup_testing_defaults", 500, makeDefaults},
	{"is_hop_by_hop", 500, makeHopByHop},
	{"header_list", 3000, makeHeaderList},
	{"run_handler", 8000, makeHandlerRun},
}

// A judged is our answer to a question where the differences show in wsgiref's: want
// makes of that what ours should be.
type judged struct {
	ours any
	want func(python []byte) any
}

// A maker makes questions.
type maker struct {
	*rand.Rand
	t       *testing.T
	differs map[string]int // how often each intended difference occurred
}

// TestWsgirefPython asks the machine's Python, 3.11 or newer, thousands of questions
// about wsgiref, and compares.
func TestWsgirefPython(t *testing.T) {
	m := &maker{Rand: rand.New(rand.NewPCG(3333, 3875)), t: t, differs: map[string]int{}}
	var asked bytes.Buffer
	var names []string
	var ours []any
	enc := json.NewEncoder(&asked)
	for _, f := range pythonFamilies {
		for range f.count {
			question, answer := f.make(m)
			question["ask"] = f.name
			if err := enc.Encode(question); err != nil {
				t.Fatal(err)
			}
			names = append(names, f.name)
			ours = append(ours, answer)
		}
	}
	lines := askPython(t, asked.Bytes(), len(ours))
	questions := bytes.Split(asked.Bytes(), []byte("\n"))
	wrong := map[string]int{}
	for i := range ours {
		python, our := lines[i], ours[i]
		if j, ok := our.(judged); ok {
			python, our = encoded(t, j.want(python)), j.ours
		}
		if d := cmp.Diff(decoded(t, python), decoded(t, encoded(t, our))); d != "" {
			if wrong[names[i]]++; wrong[names[i]] <= 5 {
				t.Errorf("%s\nwsgiref (-) and ours (+):\n%s", questions[i], d)
			}
		}
	}
	for name, n := range wrong {
		t.Errorf("%s: %d answers differ", name, n)
	}
	for _, d := range allDifferences {
		if m.differs[d] == 0 {
			t.Errorf("this difference did not occur: %s", d)
		}
	}
}

// askPython runs the script on the questions and returns its answers.
func askPython(t *testing.T, questions []byte, n int) [][]byte {
	t.Helper()
	lines := bytes.Split(bytes.TrimSuffix(testkit.Python(t, questions, filepath.Join("testdata", "wsgiref.py")), []byte("\n")), []byte("\n"))
	if len(lines) != n+1 {
		t.Fatalf("%d answers to %d questions", len(lines)-1, n)
	}
	t.Logf("%d answers of Python %s", n, lines[0])
	return lines[1:]
}

func encoded(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func decoded(t *testing.T, b []byte) (v any) {
	t.Helper()
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatalf("%q: %v", b, err)
	}
	return v
}

func latin1All(s []string) []string {
	all := make([]string, len(s))
	for i := range s {
		all[i] = testkit.Latin1(s[i])
	}
	return all
}

func latin1Variables(env *cgi.Environ) map[string]string {
	m := env.Map()
	for name, value := range m {
		m[name] = testkit.Latin1(value)
	}
	return m
}

func oneOf[T any](m *maker, choices ...T) T { return choices[m.IntN(len(choices))] }

// text returns up to n of the pieces, and now and then any byte but NUL, which no
// variable has.
func (m *maker) text(n int, pieces ...string) string {
	var b strings.Builder
	for range m.IntN(n + 1) {
		if m.IntN(12) == 0 {
			b.WriteByte(byte(1 + m.IntN(255)))
		} else {
			b.WriteString(oneOf(m, pieces...))
		}
	}
	return b.String()
}

func (m *maker) path() string {
	start := oneOf(m, "", "", "/", "/", "/", "/", "//", "///")
	return start + m.text(8, "/", "/", "/", "//", ".", ".", "..", "...", "a", "bc", "x.y", "\xe4", "é", ";v=1", ",", "%2F", " ", "~_-", "+&?")
}

// maybe sets a variable in most cases.
func (m *maker) maybe(env *cgi.Environ, name, value string) {
	if m.IntN(5) > 0 {
		env.Set(name, value)
	}
}

func makeShift(m *maker) (pythonQuestion, any) {
	var env cgi.Environ
	m.maybe(&env, "SCRIPT_NAME", m.path())
	m.maybe(&env, "PATH_INFO", m.path())
	asked := latin1Variables(&env)
	if info := env.Get("PATH_INFO"); info != "" && info[0] != '/' {
		m.differs[differsSlash]++
		asked["PATH_INFO"] = "/" + asked["PATH_INFO"]
	}
	var answer any
	if name, ok := cgi.ShiftPathInfo(&env); ok {
		answer = testkit.Latin1(name)
	} else if name != "" {
		m.t.Errorf("the name %q beside false", name)
	}
	return pythonQuestion{"env": asked}, map[string]any{"name": answer, "env": latin1Variables(&env)}
}

func makeURIs(m *maker) (pythonQuestion, any) {
	var env cgi.Environ
	m.maybe(&env, "HTTPS", oneOf(m, "", "on", "ON", "1", "yes", "true", "off", "on "))
	if m.IntN(2) == 0 {
		m.maybe(&env, "HTTP_HOST", oneOf(m, "", "h", "h:80", "[::1]:443", "h\xe4 <%>", m.text(3, "h", ".", ":", "@")))
	}
	m.maybe(&env, "SERVER_NAME", oneOf(m, "", "example.org", "[::1]", m.text(3, "n", ".", ":")))
	m.maybe(&env, "SERVER_PORT", oneOf(m, "", "80", "443", "8080", "080", "x"))
	m.maybe(&env, "SCRIPT_NAME", oneOf(m, "", m.path()))
	m.maybe(&env, "PATH_INFO", oneOf(m, "", m.path(), m.path()))
	m.maybe(&env, "QUERY_STRING", oneOf(m, "", "a=b&c=%E4", m.text(4, "a", "=", "&", "%zz", "?", "#", "\xe4")))
	scheme := oneOf(m, "", "", "http", "https", "gopher")
	env.SetScheme(scheme)
	if scheme == "" {
		m.differs[differsScheme]++
	}
	asked := latin1Variables(&env)
	orMissing := func(uri string, err error) any {
		if missing, ok := err.(*cgi.MissingVarError); ok {
			return map[string]string{"missing": missing.Name}
		}
		if err != nil {
			m.t.Error(err)
		}
		return testkit.Latin1(uri)
	}
	return pythonQuestion{"env": asked, "scheme": scheme}, map[string]any{
		"guess_scheme":    cgi.GuessScheme(&env),
		"application_uri": orMissing(cgi.ApplicationURI(&env)),
		"request_uri":     orMissing(cgi.RequestURI(&env, true)),
		"without_query":   orMissing(cgi.RequestURI(&env, false)),
	}
}

func makeDefaults(m *maker) (pythonQuestion, any) {
	var env cgi.Environ
	for _, name := range []string{"HTTPS", "SERVER_NAME", "SERVER_PORT", "SERVER_PROTOCOL", "HTTP_HOST", "REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO"} {
		if m.IntN(2) == 0 {
			env.Set(name, oneOf(m, "", "on", "1", "x"))
		}
	}
	scheme := oneOf(m, "", "", "", "http", "https", "gopher")
	env.SetScheme(scheme)
	asked := latin1Variables(&env)
	set := env.Len()
	cgitest.Defaults(&env)
	// The order of what was set is not asked for: a JSON object has none.
	var variables [][2]string
	for name, value := range env.All() {
		variables = append(variables, [2]string{name, value})
	}
	slices.SortFunc(variables[:set], func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
	return pythonQuestion{"env": asked, "scheme": scheme}, map[string]any{"scheme": env.Scheme(), "variables": variables}
}

func makeHopByHop(m *maker) (pythonQuestion, any) {
	name := oneOf(m, "Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "TE", "Trailers", "Transfer-Encoding",
		"Upgrade", "Trailer", "Proxy-Connection", "Date", "", "T", "Via")
	switch m.IntN(4) {
	case 0:
		name = strings.ToUpper(name)
	case 1:
		name = strings.ToLower(name)
	case 2:
		name += m.text(1, "s", " ", "\xe4")
	}
	return pythonQuestion{"name": testkit.Latin1(name)}, cgi.IsHopByHop(name)
}
