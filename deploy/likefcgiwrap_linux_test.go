package deploy_test

import (
	"bytes"
	"fmt"
	"maps"
	"net"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/fastcgi/record"
)

// A likeness is a request that fcgiwrap and the gateway under its name get, and how
// their answers differ. Parameters are "NAME=VALUE"; DIR stands for the directory of the
// programs.
type likeness struct {
	name   string
	params []string
	body   string

	// fcgiwrap and gatehouse are the aspects of the answer that differ, as both have
	// them, and why says why that is meant. Aspects that are not named here are the same.
	fcgiwrap, gatehouse map[string]string
	why                 string
}

// The programs. "show" tells all that it sees of itself, "say" does what the request
// tells it.
var likenessPrograms = map[string]string{
	"show": `printf 'Content-Type: text/plain\n\n%s\0%s\0' "$0" "$(pwd -P)"; cat /proc/$$/environ`,
	"say":  `printf '%b' "$COMPLAIN" >&2; printf '%b' "$SAY"; [ -z "$KILL" ] || kill -9 $$; exit ${EXIT:-0}`,
	"body": `printf 'Content-Type: text/plain\n\n%s ' "$CONTENT_LENGTH"; cksum`,
	"many": `printf 'Content-Type: text/plain\n\n'; i=0; while [ $i -lt 30000 ]; do echo "$i and a line of text that makes it long"; i=$((i+1)); done`,
}

func say(text string, more ...string) []string {
	return append([]string{"SCRIPT_FILENAME=DIR/say", "SAY=" + text}, more...)
}

const sayHead = `Content-Type: text/plain\n\n`

const (
	whyReason  = "after the path comes the reason: the check that failed and its remedy"
	whyPage    = "gatehouse's error page ends its line with LF"
	whyStatus  = "an invalid response becomes 502 in both; fcgiwrap sends what there is and leaves that to the web server"
	whySays    = "a program's author reads there what to print instead"
	forbidden  = "403 Forbidden\r\n"
	ourPage    = "403 Forbidden\n"
	cannotGet  = "Cannot get script name, are DOCUMENT_ROOT and SCRIPT_NAME (or SCRIPT_FILENAME) set and is the script executable?\n"
	noResponse = "An error occurred while reading CGI reply (no response received)\n"
)

// refused is a likeness of a request that both refuse with 403.
func refused(name, reason string, params ...string) likeness {
	return likeness{name: name, params: params, why: whyReason + "\n" + whyPage,
		fcgiwrap:  map[string]string{"body": forbidden, "stderr": cannotGet},
		gatehouse: map[string]string{"body": ourPage, "stderr": reason + "\n"}}
}

// likenesses are the requests.
var likenesses = []likeness{
	// Which program.
	{name: "SCRIPT_FILENAME", params: []string{"SCRIPT_FILENAME=DIR/show"}},
	{name: "SCRIPT_FILENAME, all parameters", params: []string{
		"SCRIPT_FILENAME=DIR/show", "QUERY_STRING=a=b&c", "REQUEST_METHOD=GET", "CONTENT_TYPE=", "CONTENT_LENGTH=",
		"SCRIPT_NAME=/show", "REQUEST_URI=/show?a=b&c", "DOCUMENT_URI=/show", "DOCUMENT_ROOT=DIR", "SERVER_PROTOCOL=HTTP/1.1",
		"REQUEST_SCHEME=http", "GATEWAY_INTERFACE=CGI/1.1", "SERVER_SOFTWARE=nginx/1.22.1", "REMOTE_ADDR=127.0.0.1",
		"REMOTE_PORT=50000", "REMOTE_USER=", "SERVER_ADDR=127.0.0.1", "SERVER_PORT=80", "SERVER_NAME=_", "REDIRECT_STATUS=200",
		"HTTP_HOST=localhost", "HTTP_USER_AGENT=curl/7", "HTTP_ACCEPT=*/*"}},
	{name: "PATH_INFO stays", params: []string{"SCRIPT_FILENAME=DIR/show", "SCRIPT_NAME=/s", "PATH_INFO=/p/../q", "PATH_TRANSLATED=/t"}},
	{name: "SCRIPT_FILENAME through a link", params: []string{"SCRIPT_FILENAME=DIR/link"}},
	{name: "SCRIPT_FILENAME with two slashes", params: []string{"SCRIPT_FILENAME=DIR//show"}},
	{name: "SCRIPT_FILENAME with dots", params: []string{"SCRIPT_FILENAME=DIR/sub/../show"}},
	{name: "SCRIPT_FILENAME twice", params: []string{"SCRIPT_FILENAME=DIR/show", "SCRIPT_FILENAME=/nonexistent"},
		why:       "names are unique (RFC 3875 § 4.1): a program gets the first value of a repeated variable, which is what getenv returned",
		fcgiwrap:  map[string]string{"environment": "SCRIPT_FILENAME=/nonexistent"},
		gatehouse: map[string]string{}},
	refused("SCRIPT_FILENAME with more path", "SCRIPT_FILENAME DIR/show/x: no such file: DIR/show is a file: what follows it belongs into PATH_INFO (fastcgi_split_path_info)", "SCRIPT_FILENAME=DIR/show/x"),
	refused("missing", "SCRIPT_FILENAME DIR/missing: no such file", "SCRIPT_FILENAME=DIR/missing"),
	refused("link to nowhere", "SCRIPT_FILENAME DIR/dangling: no such file: it is a link to nowhere, which does not exist", "SCRIPT_FILENAME=DIR/dangling"),
	refused("directory", "SCRIPT_FILENAME DIR: is a directory, not a program: the URL must go on with the name of a program in it", "SCRIPT_FILENAME=DIR"),
	refused("not executable", "SCRIPT_FILENAME DIR/plain: is not executable (no x bit): chmod +x DIR/plain", "SCRIPT_FILENAME=DIR/plain"),
	refused("empty SCRIPT_FILENAME", `SCRIPT_FILENAME is no absolute path: fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;`, "SCRIPT_FILENAME="),
	refused("no variables", `the web server sent no CGI variables: in nginx, write "include fastcgi_params;" beside fastcgi_pass`),
	refused("neither", `the web server sent neither SCRIPT_FILENAME nor DOCUMENT_ROOT and SCRIPT_NAME: fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;`, "REQUEST_METHOD=GET"),
	refused("DOCUMENT_ROOT alone", `the web server sent neither SCRIPT_FILENAME nor DOCUMENT_ROOT and SCRIPT_NAME: fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;`, "DOCUMENT_ROOT=DIR"),
	{name: "DOCUMENT_ROOT and SCRIPT_NAME", params: []string{"DOCUMENT_ROOT=DIR", "SCRIPT_NAME=/show"}},
	{name: "DOCUMENT_ROOT and SCRIPT_NAME, PATH_INFO sent", params: []string{"DOCUMENT_ROOT=DIR", "SCRIPT_NAME=/show", "PATH_INFO=/p"}},
	{name: "DOCUMENT_ROOT and SCRIPT_NAME, with more path", params: []string{"DOCUMENT_ROOT=DIR", "SCRIPT_NAME=/show/p//q"}},
	{name: "DOCUMENT_ROOT and SCRIPT_NAME, with a slash", params: []string{"DOCUMENT_ROOT=DIR", "SCRIPT_NAME=/show/"}},
	{name: "DOCUMENT_ROOT with a slash", params: []string{"DOCUMENT_ROOT=DIR/", "SCRIPT_NAME=show/p"}},
	refused("DOCUMENT_ROOT and a directory", "DOCUMENT_ROOT and SCRIPT_NAME DIR/sub/x/z: no such file", "DOCUMENT_ROOT=DIR", "SCRIPT_NAME=/sub/x/z"),
	{name: "DOCUMENT_ROOT and dots", params: []string{"DOCUMENT_ROOT=DIR", "SCRIPT_NAME=/sub/../show"},
		why:       "no web server passes on such a path, so it comes from an attacker",
		fcgiwrap:  map[string]string{"status": "200", "stderr": "", "argv0": "DIR/sub/../show", "directory": "DIR", "body": "", "environment": "~SCRIPT_NAME=/sub/../show"},
		gatehouse: map[string]string{"status": "403", "stderr": "DOCUMENT_ROOT and SCRIPT_NAME DIR/sub/../show: has a \"..\" segment\n", "body": ourPage}},
	{name: "executable for others only", params: []string{"SCRIPT_FILENAME=DIR/others"},
		why:       "the system decides whether a program may be executed, and for root any x bit is enough",
		fcgiwrap:  map[string]string{"status": "403", "body": forbidden, "stderr": cannotGet},
		gatehouse: map[string]string{"status": "200", "body": "others\n", "stderr": ""}},
	{name: "missing interpreter", params: []string{"SCRIPT_FILENAME=DIR/nointerpreter"},
		why:       whyReason + "\n" + whyPage,
		fcgiwrap:  map[string]string{"body": "502 Bad Gateway\r\n", "stderr": "Cannot execute script (DIR/nointerpreter)\n"},
		gatehouse: map[string]string{"body": "502 Bad Gateway\n", "stderr": "DIR/nointerpreter: its interpreter \"/nonexistent\" does not exist: install it, or correct the first line\n"}},
	{name: "no interpreter", params: []string{"SCRIPT_FILENAME=DIR/plainx"},
		why:       whyReason + "\n" + whyPage,
		fcgiwrap:  map[string]string{"body": "502 Bad Gateway\r\n", "stderr": "Cannot execute script (DIR/plainx)\n"},
		gatehouse: map[string]string{"body": "502 Bad Gateway\n", "stderr": "DIR/plainx: it is no binary for this machine, and has no \"#!\" line: begin it with its interpreter, such as #!/bin/sh\n"}},

	// What it gets.
	{name: "empty values", params: []string{"SCRIPT_FILENAME=DIR/show", "GIT_HTTP_EXPORT_ALL=", "REMOTE_USER=", "PATH_INFO="}},
	{name: "HTTP variables", params: []string{"SCRIPT_FILENAME=DIR/show", "HTTP_AUTHORIZATION=Basic eDp5", "HTTP_COOKIE=a=1; b=2", "HTTP_X_LONG=" + strings.Repeat("x", 5000), "HTTPS=on", "AUTH_PASSWORD=p"}},
	{name: "bytes", params: []string{"SCRIPT_FILENAME=DIR/show", "HTTP_X_A=caf\xe9 \x01\n\"'\\"}},
	{name: "other names", params: []string{"SCRIPT_FILENAME=DIR/show", "proxy-nokeepalive=1", "lower=x", "PATH=/usr/bin:/bin:/sent", "FCGI_ROLE=x"},
		why:       "libfcgi adds its own FCGI_ROLE to the one sent, and names are unique",
		fcgiwrap:  map[string]string{"environment": "FCGI_ROLE=x"},
		gatehouse: map[string]string{"environment": ""}},
	{name: "repeated", params: []string{"SCRIPT_FILENAME=DIR/show", "HTTP_X_A=1", "HTTP_X_A=2", "X=1", "X=2"},
		why:       "names are unique (RFC 3875 § 4.1), and the values of a header are joined (§ 4.1.18)",
		fcgiwrap:  map[string]string{"environment": "HTTP_X_A=1\nHTTP_X_A=2\nX=2"},
		gatehouse: map[string]string{"environment": "HTTP_X_A=1, 2"}},
	{name: "REMOTE_USER twice", params: []string{"SCRIPT_FILENAME=DIR/show", "REMOTE_USER=anyone", "REMOTE_USER="},
		why:       "one of two values may be the client's own claim: neither may make a user of it",
		fcgiwrap:  map[string]string{"environment": "REMOTE_USER=anyone"},
		gatehouse: map[string]string{"environment": ""}},
	{name: "HTTP_REDIRECT_STATUS", params: []string{"SCRIPT_FILENAME=DIR/show", "HTTP_REDIRECT_STATUS=200"},
		why:       "php-cgi takes the client's header Redirect-Status for REDIRECT_STATUS (CVE-2024-8927)",
		fcgiwrap:  map[string]string{"environment": "~ECT_STATUS=200"}, // DIR is replaced
		gatehouse: map[string]string{}},
	{name: "HTTP_PROXY", params: []string{"SCRIPT_FILENAME=DIR/show", "HTTP_PROXY=http://evil/"},
		why:       "libraries take the client's header Proxy for configuration (CVE-2016-5385 and others)",
		fcgiwrap:  map[string]string{"environment": "HTTP_PROXY=http://evil/"},
		gatehouse: map[string]string{}},
	{name: "code in variables", params: []string{"SCRIPT_FILENAME=DIR/show", "LD_PRELOAD=/nonexistent.so", "BASH_FUNC_x%%=() { :; }", "A=B"},
		why:       "only the daemon may set variables that run code",
		fcgiwrap:  map[string]string{"environment": "BASH_FUNC_x%%=() { :; }\nLD_PRELOAD=/nonexistent.so", "stderr": "~ld.so"},
		gatehouse: map[string]string{"environment": "", "stderr": ""}},
	{name: "FCGI_CHDIR", params: []string{"SCRIPT_FILENAME=DIR/show", "FCGI_CHDIR=/usr"},
		why:       "Debian has fcgiwrap 1.1.0, which predates FCGI_CHDIR",
		fcgiwrap:  map[string]string{"directory": "DIR"},
		gatehouse: map[string]string{"directory": "/usr"}},
	{name: "NO_BUFFERING", params: []string{"SCRIPT_FILENAME=DIR/show", "NO_BUFFERING="}},

	// Its body.
	{name: "body", params: []string{"SCRIPT_FILENAME=DIR/body", "CONTENT_LENGTH=11", "REQUEST_METHOD=POST"}, body: "hello world"},
	{name: "large body", params: []string{"SCRIPT_FILENAME=DIR/body", "CONTENT_LENGTH=1000000", "REQUEST_METHOD=POST"}, body: strings.Repeat("0123456789", 100000)},
	{name: "body of unknown length", params: []string{"SCRIPT_FILENAME=DIR/body", "REQUEST_METHOD=POST"}, body: "hello world",
		why:       "a program gets the length of its body (RFC 3875 § 4.1.2)",
		fcgiwrap:  map[string]string{"body": " 1135714720 11\n"},
		gatehouse: map[string]string{"body": "11 1135714720 11\n"}},

	// Its answer.
	{name: "plain", params: say(sayHead + "hello")},
	{name: "CR LF", params: say(`Content-Type: text/plain\r\nX-A: b\r\n\r\nhello`)},
	{name: "several fields", params: say(`X-A: 1\nX-A: 2\nContent-Type: text/html; charset=utf-8\nSet-Cookie: a=b\n\n`)},
	{name: "Status", params: say(`Status: 404 Not Found\n` + sayHead + "no")},
	{name: "Status without reason", params: say(`Status: 418\n` + sayHead)},
	{name: "Status 304", params: say(`Status: 304 Not Modified\nETag: "x"\n\n`)},
	{name: "Location", params: say(`Location: http://example.org/\n\n`)},
	{name: "local Location", params: say(`Location: /elsewhere?x\n\n`)},
	{name: "Location with Status", params: say(`Status: 301 Moved Permanently\nLocation: http://example.org/\n` + sayHead + "moved")},
	{name: "large output", params: []string{"SCRIPT_FILENAME=DIR/many"}},
	{name: "binary output", params: say(`Content-Type: application/octet-stream\n\n\0000\0001\0377\r\n\n`)},
	{name: "own Content-Length", params: say(`Content-Length: 5\n` + sayHead + "hello")},
	{name: "exit status", params: say(sayHead+"x", "EXIT=3"),
		why:       "the protocol has a field for it (FastCGI 1.0 § 5.5)",
		fcgiwrap:  map[string]string{"appStatus": "0"},
		gatehouse: map[string]string{"appStatus": "3"}},
	{name: "stderr", params: say(sayHead+"x", `COMPLAIN=one\ntwo\n`)},
	{name: "stderr without a line end", params: say(sayHead+"x", `COMPLAIN=one`)},
	{name: "nothing", params: say(""), why: whyPage + "\n" + whySays,
		fcgiwrap:  map[string]string{"body": noResponse, "stderr": ""},
		gatehouse: map[string]string{"body": "502 Bad Gateway\n", "stderr": "DIR/say: no head: line 1, \"\": the output is empty: print \"Content-Type: text/html\" and an empty line first; exit status 0\n"}},
	{name: "nothing but stderr", params: say("", `COMPLAIN=failed\n`),
		why:       "fcgiwrap mistakes stderr for the head and sends nothing\n" + whySays,
		fcgiwrap:  map[string]string{"stderr": "failed\n", "status": "none", "fields": "", "body": ""},
		gatehouse: map[string]string{"stderr": "~failed\nDIR/say: no head", "status": "502", "fields": "Content-Type: text/plain", "body": "502 Bad Gateway\n"}},
	{name: "no head", params: say("hello\n"), why: whyStatus + "\n" + whySays,
		fcgiwrap:  map[string]string{"stderr": "", "status": "none", "fields": "hello", "body": ""},
		gatehouse: map[string]string{"stderr": "~bad head: line 1, \"hello\"", "status": "502", "fields": "Content-Type: text/plain", "body": "502 Bad Gateway\n"}},
	{name: "empty head", params: say("\nhello\n"), why: whyPage + "\n" + whySays,
		fcgiwrap:  map[string]string{"stderr": "", "body": "An error occurred while parsing CGI reply\n"},
		gatehouse: map[string]string{"stderr": "~the head has no field", "body": "502 Bad Gateway\n"}},
	{name: "killed before its answer", params: say("", "KILL=1"), why: whyPage + "\n" + whySays,
		fcgiwrap:  map[string]string{"stderr": "", "body": noResponse},
		gatehouse: map[string]string{"stderr": "~ended by signal: killed", "body": "502 Bad Gateway\n"}},
}

// TestLikeFcgiwrap gives the same requests to Debian's fcgiwrap and to the gateway
// under its name, with the same environment, and compares the answers, the programs'
// environment among them.
func TestLikeFcgiwrap(t *testing.T) {
	dir := "/srv/like"
	for name, text := range likenessPrograms {
		writeProgram(t, filepath.Join(dir, name), "#!/bin/sh\n"+text+"\n", 0o755)
	}
	writeProgram(t, dir+"/plain", "text", 0o644)
	writeProgram(t, dir+"/plainx", "text", 0o755)
	writeProgram(t, dir+"/others", "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\nothers\\n'\n", 0o655)
	writeProgram(t, dir+"/nointerpreter", "#!/nonexistent\n", 0o755)
	writeProgram(t, dir+"/sub/x/y", "", 0o644)
	for link, to := range map[string]string{"link": "show", "dangling": "nowhere"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	gatehouse := filepath.Join(workspace, "fcgiwrap")
	if err := os.Symlink("gatehouse", gatehouse); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(gatehouse) })
	sockets := map[string]string{fcgiwrapPath: "/run/like-fcgiwrap", gatehouse: "/run/like-gatehouse"}
	for program, socket := range sockets {
		startLike(t, program, socket)
	}
	for _, l := range likenesses {
		t.Run(l.name, func(t *testing.T) {
			full := strings.NewReplacer("DIR", dir)
			var params []byte
			for _, p := range l.params {
				name, value, _ := strings.Cut(p, "=")
				params = record.AppendPair(params, name, full.Replace(value))
			}
			theirs := askLike(t, sockets[fcgiwrapPath], params, l.body)
			// It takes stderr that comes before the head for the head, and mends its line ends.
			theirs["stderr"] = strings.ReplaceAll(theirs["stderr"], "\r", "")
			ours := askLike(t, sockets[gatehouse], params, l.body)
			if length, ok := ours["Content-Length"]; ok && theirs["Content-Length"] == "" {
				// The one difference everywhere: known lengths are sent.
				if length != ours["size"] {
					t.Errorf("the gateway's Content-Length is %s; want %s", length, ours["size"])
				}
				delete(ours, "Content-Length")
			}
			delete(theirs, "size") // that of the body, which is compared
			delete(ours, "size")
			l.compare(t, full, theirs, ours)
		})
	}
}

// compare fails for each aspect in which the two answers differ and should not, or do
// not differ as they should.
func (l likeness) compare(t *testing.T, full *strings.Replacer, theirs, ours map[string]string) {
	t.Helper()
	theirs["environment"], ours["environment"] = apart(theirs["environment"], ours["environment"])
	aspects := maps.Clone(theirs)
	maps.Copy(aspects, ours)
	for _, aspect := range slices.Sorted(maps.Keys(aspects)) {
		_, differs := l.fcgiwrap[aspect]
		if !differs {
			if theirs[aspect] != ours[aspect] {
				t.Errorf("%s:\nfcgiwrap  %.500q\ngatehouse %.500q", aspect, theirs[aspect], ours[aspect])
			}
			continue
		}
		for who, pair := range map[string][2]string{
			"fcgiwrap":  {theirs[aspect], full.Replace(l.fcgiwrap[aspect])},
			"gatehouse": {ours[aspect], full.Replace(l.gatehouse[aspect])},
		} {
			if got, want := pair[0], pair[1]; got != want && !(strings.HasPrefix(want, "~") && strings.Contains(got, want[1:])) {
				t.Errorf("%s of %s: %.500q; want %.500q", aspect, who, got, want)
			}
		}
		if theirs[aspect] == ours[aspect] {
			t.Errorf("%s does not differ", aspect)
		}
	}
	if (len(l.fcgiwrap) > 0) != (l.why != "") {
		t.Error("a difference without a reason, or a reason without a difference")
	}
}

// apart returns what is in one list only, one item a line.
func apart(a, b string) (onlyA, onlyB string) {
	x, y := strings.Split(a, "\x00"), strings.Split(b, "\x00")
	for _, item := range x {
		if i := slices.Index(y, item); i >= 0 {
			y = slices.Delete(y, i, i+1)
			continue
		}
		onlyA += item + "\n"
	}
	return strings.TrimSuffix(onlyA, "\n"), strings.Join(y, "\n")
}

func writeProgram(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// startLike starts fcgiwrap, or what has its place, with a socket on descriptor 0.
func startLike(t *testing.T, program, socket string) {
	t.Helper()
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	t.Cleanup(func() { os.Remove(socket) })
	f, err := l.(*net.UnixListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cmd := exec.Command(program, "-f")
	cmd.Stdin, cmd.Dir = f, "/"
	cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=/root", "SECRET=daemon", "HTTPS=on", "HTTP_X_DAEMON=1", "REMOTE_USER=daemon", "SCRIPT_NAME=/daemon", "X-Y=z"}
	startServer(t, filepath.Base(program), cmd, nil, socket)
}

// askLike makes a request, and returns the aspects of the answer: status, fields (one a
// line, without Status and Content-Length), Content-Length, body, size, stderr, appStatus; and of the program
// "show", in place of the body, argv0, directory and environment (sorted).
func askLike(t *testing.T, socket string, params []byte, body string) map[string]string {
	t.Helper()
	c, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	b := record.AppendBegin(nil, 1, record.Responder, 0)
	b = record.AppendStream(b, record.Params, 1, params)
	b = record.AppendRecord(b, record.Params, 1, nil)
	b = record.AppendStream(b, record.Stdin, 1, []byte(body))
	b = record.AppendRecord(b, record.Stdin, 1, nil)
	if _, err := c.Write(b); err != nil {
		t.Fatal(err)
	}
	var out, complaints bytes.Buffer
	a := make(map[string]string)
	for r := record.NewReader(c); a["appStatus"] == ""; {
		h, content, err := r.Next()
		if err != nil {
			t.Fatalf("%v, after %q", err, out.String())
		}
		switch h.Type() {
		case record.Stdout:
			out.Write(content)
		case record.Stderr:
			complaints.Write(content)
		case record.EndRequest:
			e, err := record.ParseEnd(content)
			if err != nil {
				t.Fatal(err)
			}
			a["appStatus"] = fmt.Sprint(e.AppStatus)
		}
	}
	a["stderr"] = complaints.String()
	head, rest, found := strings.Cut(out.String(), "\r\n\r\n")
	if !found {
		head, rest, _ = strings.Cut(out.String(), "\n\n")
	}
	a["status"] = "200"
	if !found && !strings.Contains(head, ":") {
		a["status"] = "none"
	}
	var fields []string
	for line := range strings.Lines(head) {
		line = strings.TrimRight(line, "\r\n")
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch strings.ToLower(name) {
		case "status":
			a["status"] = value[:3]
			continue
		case "location":
			if a["status"] == "200" {
				a["status"] = "302"
			}
		case "content-length":
			a["Content-Length"] = value
			continue
		}
		if value != "" {
			line = textproto.CanonicalMIMEHeaderKey(name) + ": " + value
		}
		fields = append(fields, line)
	}
	slices.Sort(fields)
	a["fields"] = strings.Join(fields, "\n")
	a["body"], a["size"] = rest, fmt.Sprint(len(rest))
	if strings.HasPrefix(rest, "/srv/like") {
		parts := strings.Split(strings.TrimSuffix(rest, "\x00"), "\x00")
		a["argv0"], a["directory"] = parts[0], parts[1]
		env := slices.Clone(parts[2:])
		slices.Sort(env)
		a["environment"] = strings.Join(env, "\x00")
		a["body"] = ""
	}
	return a
}

// TestLikenessesAreDocumented: the administrator's page has each reason for a
// difference, and as many requests as there are.
func TestLikenessesAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/cgi.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range likenesses {
		for why := range strings.SplitSeq(l.why, "\n") {
			if why != "" && !strings.Contains(string(page), "| "+why+" |") {
				t.Errorf("%s: docs/cgi.md has no row with %q", l.name, why)
			}
		}
	}
	if want := fmt.Sprintf("that %d requests to both show", len(likenesses)); !strings.Contains(strings.ReplaceAll(string(page), "\n", " "), want) {
		t.Errorf("docs/cgi.md does not say %q", want)
	}
}
