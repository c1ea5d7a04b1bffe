package deploy_test

import (
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"gatehouse/deploy"
)

// A snippetServer is a web server that gatehouse snippet knows.
type snippetServer struct {
	file    string                          // what the snippet is called when it is copied
	install func(t *testing.T, file string) // does that, as the snippet says
	check   []string                        // the server's own check
	start   func(t *testing.T, file string) // installs it, too
}

var snippetServers = map[string]snippetServer{
	"apache": {"gatehouse.conf", func(t *testing.T, file string) {
		empty(t, "/etc/apache2/conf-enabled")
		follow(t, file)
	}, []string{"/usr/sbin/apache2ctl", "-t"}, startApache},
	"caddy": {"Caddyfile", func(t *testing.T, file string) {
		install(t, file, "/etc/caddy/Caddyfile", 0o644)
	}, []string{"/usr/bin/caddy", "validate", "--config", "/etc/caddy/Caddyfile"}, startCaddy},
	"haproxy": {"haproxy.cfg", func(t *testing.T, file string) {
		appendTo(t, "/etc/haproxy/haproxy.cfg", "\n"+string(read(t, file)))
	}, []string{"/usr/sbin/haproxy", "-c", "-f", "/etc/haproxy/haproxy.cfg"}, startHAProxy},
	"lighttpd": {"gatehouse.conf", func(t *testing.T, file string) {
		empty(t, "/etc/lighttpd/conf-enabled")
		follow(t, file)
	}, []string{"/usr/sbin/lighttpd", "-tt", "-f", "/etc/lighttpd/lighttpd.conf"}, startLighttpd},
	"nginx": {"gatehouse.conf", func(t *testing.T, file string) {
		empty(t, "/etc/nginx/sites-enabled")
		install(t, file, "/etc/nginx/conf.d/gatehouse.conf", 0o644)
	}, []string{"/usr/sbin/nginx", "-t"}, startNginx},
}

// oddPrefixes have characters that mean something to one of the servers, or to a regular
// expression, and a neighbour that each must not cover.
var oddPrefixes = []string{
	"/a b", "/é", "/it's", `/q"x`, "/x{y}", "/{}", "/$HOME", "/semi;colon", "/50%", "/50%25", "/a+b", "/a.b", `/back\slash`, `/back\`, "/#hash", "/what?", "/[z]", "/(p)",
	"/*", "/a|b", "/^", "/~x", "/<b>", "/&amp", "/a,b", "/%{ENV:HOME}", "/{$HOME}", "/{env.HOME}", "/@x", "/!", "/`ls`", "/日本/語", "/-m", "/$1", `/\x41`, "/:", "/A",
}

// snippetCases are flags of serve. refused says, for servers that cannot do it, why.
var snippetCases = []struct {
	name    string
	flags   []string
	listen  []string // where gatehouse listens then; none if it cannot be started here
	mounts  []string // those of demo, hello, scripts and files: PREFIX=KIND
	refused map[string]string
}{
	{
		"programs", []string{"--fastcgi", "unix:/run/gatehouse/fastcgi.sock,group=www-data", "--app", "/cgi-bin=scripts:/usr/lib/cgi-bin"},
		[]string{"/run/gatehouse/fastcgi.sock"},
		[]string{"/cgi-bin=scripts"},
		map[string]string{"haproxy": "--fastcgi unix:/run/gatehouse/fastcgi.sock: Debian's HAProxy runs in the chroot /var/lib/haproxy, and reaches no socket outside it: start gatehouse with --fastcgi 127.0.0.1:9000, too, or with a socket below /var/lib/haproxy"},
	},
	{
		"port", []string{"--fastcgi", "127.0.0.1:9000"},
		[]string{"127.0.0.1:9000"}, []string{"/=demo"}, nil,
	},
	{
		"SCGI", []string{"--scgi", "unix:/run/gatehouse/scgi.sock", "--app", "/cgi-bin=scripts:/usr/lib/cgi-bin", "--app", "/greet=hello"},
		[]string{"/run/gatehouse/scgi.sock"},
		[]string{"/cgi-bin=scripts", "/greet=hello"},
		map[string]string{
			"caddy":   "--scgi unix:/run/gatehouse/scgi.sock: Caddy does not speak SCGI: start gatehouse with --fastcgi unix:/run/gatehouse/fastcgi.sock,group=www-data, too",
			"haproxy": "--scgi unix:/run/gatehouse/scgi.sock: HAProxy does not speak SCGI: start gatehouse with --fastcgi 127.0.0.1:9000, too",
		},
	},
	{
		"SCGI port", []string{"--scgi", "localhost:4000", "--app", "/=demo", "--app", "/greet=hello"},
		[]string{"127.0.0.1:4000"},
		[]string{"/=demo", "/greet=hello"},
		map[string]string{"caddy": "Caddy does not speak SCGI", "haproxy": "HAProxy does not speak SCGI"},
	},
	{
		"HTTP", []string{"--http", "127.0.0.1:8080", "--app", "/demo=demo", "--app", "/static=files:/srv/static"},
		[]string{"127.0.0.1:8080"}, []string{"/demo=demo", "/static=files"}, nil,
	},
	{
		"HTTP socket", []string{"--http", "unix:/run/gatehouse/http.sock", "--app", "/demo=demo", "--app", "/=hello"},
		[]string{"/run/gatehouse/http.sock"}, []string{"/demo=demo", "/=hello"},
		map[string]string{"haproxy": "reaches no socket outside it"},
	},
	{
		"all protocols", []string{"--http", "127.0.0.1:8080", "--scgi", "127.0.0.1:4000", "--fastcgi", "127.0.0.1:9000", "--fastcgi", "unix:/run/gatehouse/fastcgi.sock",
			"--app", "/a=hello", "--app", "/a/b=demo", "--app", "/a/b/c=scripts:/usr/lib/cgi-bin", "--app", "/d/=files:/srv/static"},
		[]string{"127.0.0.1:8080", "127.0.0.1:4000", "127.0.0.1:9000", "/run/gatehouse/fastcgi.sock"},
		[]string{"/a=hello", "/a/b=demo", "/a/b/c=scripts", "/d=files"}, nil,
	},
	{
		"IPv6", []string{"--fastcgi", "[::1]:9000", "--app", "/demo=demo"},
		[]string{"[::1]:9000"}, []string{"/demo=demo"}, nil,
	},
	{
		"every address", []string{"--fastcgi", ":9000", "--allow", "127.0.0.0/8", "--app", "/demo=demo"},
		[]string{"127.0.0.1:9000"}, []string{"/demo=demo"}, nil,
	},
	{
		"in the chroot", []string{"--fastcgi", "unix:/var/lib/haproxy/gatehouse/fastcgi.sock,mode=0666", "--app", "/demo=demo"},
		[]string{"/var/lib/haproxy/gatehouse/fastcgi.sock"}, []string{"/demo=demo"}, nil,
	},
	{
		"spaces", []string{"--fastcgi", "unix:/var/lib/haproxy/gatehouse/a = @~+.sock,mode=0666", "--app", "/a b=demo"},
		[]string{"/var/lib/haproxy/gatehouse/a = @~+.sock"}, []string{"/a b=demo"},
		map[string]string{"apache": "--fastcgi unix:/var/lib/haproxy/gatehouse/a = @~+.sock: the path has ' ', which Apache may take for something else: choose one of letters, digits, \".\", \"_\" and \"-\""},
	},
	{
		"nothing said", []string{"--app", "/=hello", "--app", "/demo=demo"},
		[]string{"127.0.0.1:9000"}, []string{"/=hello", "/demo=demo"}, nil,
	},
	{
		"the configuration", []string{"--config", "/etc/gatehouse/test.toml"},
		[]string{"/run/gatehouse/test.sock", "127.0.0.1:9000"}, []string{"/cgi-bin=scripts", "/demo=demo"}, nil,
	},
	{
		"no limits", []string{"--config", "/etc/gatehouse/unlimited.toml", "--fastcgi", "127.0.0.1:9000"},
		nil, nil, nil,
	},
	{
		"the configuration of the packages", []string{"--config", "/etc/gatehouse/gatehouse.toml"},
		nil, nil,
		map[string]string{"haproxy": "reaches no socket outside it"},
	},
}

// TestSnippetApache and the others: what gatehouse snippet prints for the flags is accepted by
// the server's own check, and the server runs it in front of a gatehouse with the same flags.
func TestSnippetApache(t *testing.T)   { testSnippets(t, "apache") }
func TestSnippetCaddy(t *testing.T)    { testSnippets(t, "caddy") }
func TestSnippetHAProxy(t *testing.T)  { testSnippets(t, "haproxy") }
func TestSnippetLighttpd(t *testing.T) { testSnippets(t, "lighttpd") }
func TestSnippetNginx(t *testing.T)    { testSnippets(t, "nginx") }

// TestSnippetServers: every server of package deploy has a test here.
func TestSnippetServers(t *testing.T) {
	for _, name := range deploy.SnippetServers() {
		if snippetServers[name].start == nil {
			t.Errorf("%s is not tested", name)
		}
	}
}

func testSnippets(t *testing.T, server string) {
	furnishSnippets(t)
	for _, tt := range snippetCases {
		t.Run(tt.name, func(t *testing.T) {
			if want := tt.refused[server]; want != "" {
				text, err := printSnippet(server, tt.flags)
				if err == nil || !strings.HasPrefix(string(text), "gatehouse: ") || !strings.Contains(string(text), want) {
					t.Fatalf("%v, %s; want %q", err, text, want)
				}
				return
			}
			s := snippetServers[server]
			file := snippetFile(t, server, tt.flags)
			if tt.listen == nil {
				s.install(t, file)
			} else {
				startWith(t, tt.flags, tt.listen)
				s.start(t, file)
			}
			// HAProxy warns of the limits of the machine, and Caddy that it serves no HTTPS.
			out := run(t, s.check[0], s.check[1:]...)
			if strings.Contains(strings.ToLower(out), "warn") && server != "haproxy" && server != "caddy" {
				t.Errorf("%q says %s", s.check, out)
			}
			for _, m := range tt.mounts {
				prefix, kind, _ := strings.Cut(m, "=")
				wantMount(t, prefix, kind)
				if !slices.ContainsFunc(tt.mounts, func(m string) bool { return covers(m, prefix+"x") }) {
					wantNotPassed(t, prefix+"x")
				}
			}
		})
	}
}

// covers reports whether a path is one of a mount, PREFIX=KIND.
func covers(mount, path string) bool {
	prefix, _, _ := strings.Cut(mount, "=")
	return strings.HasPrefix(path+"/", strings.TrimSuffix(prefix, "/")+"/")
}

// TestSnippetPrefixes: a prefix means itself to every server, whatever characters it has, or
// is refused.
func TestSnippetPrefixes(t *testing.T) {
	furnishSnippets(t)
	flags := []string{"--fastcgi", "127.0.0.1:9000"}
	for _, p := range oddPrefixes {
		flags = append(flags, "--app", p+"=demo")
	}
	startWith(t, flags, []string{"127.0.0.1:9000"})
	for name, s := range snippetServers {
		t.Run(name, func(t *testing.T) {
			s.start(t, snippetFile(t, name, flags))
			for _, p := range oddPrefixes {
				wantMount(t, p, "demo")
				wantNotPassed(t, p+"x")
			}
			wantNotPassed(t, "/aXb") // not /a.b
			wantNotPassed(t, "/a")   // not /A
			wantNotPassed(t, "/")
		})
	}
}

// TestSnippetStream: with each snippet, a response reaches the client as it is written.
func TestSnippetStream(t *testing.T) {
	furnishSnippets(t)
	installProgram(t, "stream")
	flags := []string{"--fastcgi", "127.0.0.1:9000", "--app", "/cgi-bin=scripts:/usr/lib/cgi-bin"}
	startWith(t, flags, []string{"127.0.0.1:9000"})
	for name, s := range snippetServers {
		t.Run(name, func(t *testing.T) {
			s.start(t, snippetFile(t, name, flags))
			wantStream(t, "/cgi-bin/stream")
		})
	}
}

// snippetFile returns a file with the snippet of a server for flags of serve.
func snippetFile(t *testing.T, server string, flags []string) string {
	t.Helper()
	text, err := printSnippet(server, flags)
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	file := filepath.Join(t.TempDir(), snippetServers[server].file)
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the snippet is\n%s", text)
		}
	})
	return file
}

// printSnippet returns what gatehouse snippet prints.
func printSnippet(server string, flags []string) ([]byte, error) {
	return exec.Command(filepath.Join(workspace, "gatehouse"), append([]string{"snippet", server}, flags...)...).CombinedOutput()
}

// furnishSnippets makes what the flags of the tests name.
func furnishSnippets(t *testing.T) {
	t.Helper()
	writeProgram(t, "/usr/lib/cgi-bin/tell", "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n%s|%s' \"$SCRIPT_NAME\" \"$PATH_INFO\"\n", 0o755)
	writeProgram(t, "/srv/static/a file.txt", "a file\n", 0o644)
	writeProgram(t, "/etc/gatehouse/gatehouse.toml", string(readPackaging(t)), 0o644)
	writeProgram(t, "/etc/gatehouse/unlimited.toml", "demo = true\nsilence = \"off\"\n", 0o644)
	writeProgram(t, "/etc/gatehouse/test.toml", `
fastcgi = ["unix:/run/gatehouse/test.sock", "127.0.0.1:9000"]
silence = "4m"
[[app]]
prefix = "/cgi-bin"
scripts = "/usr/lib/cgi-bin"
[[app]]
prefix = "/demo"
demo = true
`, 0o644)
	for _, dir := range []string{"/run/gatehouse", "/var/lib/haproxy/gatehouse"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		credential := webUser(t)
		if err := os.Chown(dir, int(credential.Uid), int(credential.Gid)); err != nil {
			t.Fatal(err)
		}
	}
}

// startWith starts gatehouse with flags of serve, as the web servers' user.
func startWith(t *testing.T, flags, addresses []string) {
	t.Helper()
	cmd := exec.Command(filepath.Join(workspace, "gatehouse"), append([]string{"serve"}, flags...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: webUser(t)}
	cmd.Env = []string{"PATH=/usr/bin:/bin", "LANG=C.UTF-8"}
	cmd.Dir = "/"
	startServer(t, "gatehouse", cmd, nil, addresses...)
}

// wantMount checks that the application at prefix serves the path below it, and the prefix
// itself without a redirect.
func wantMount(t *testing.T, prefix, kind string) {
	t.Helper()
	below := strings.TrimSuffix(prefix, "/")
	switch kind {
	case "scripts":
		if got := getPath(t, below+"/tell/more"); got.status != http.StatusOK || got.body != below+"/tell|/more" {
			t.Errorf("%s: status %d, %q", prefix, got.status, got.body)
		}
	case "files":
		if got := getPath(t, below+"/a file.txt"); got.status != http.StatusOK || got.body != "a file\n" {
			t.Errorf("%s: status %d, %q", prefix, got.status, got.body)
		}
	case "hello":
		for _, path := range []string{prefix, below + "/more"} {
			if got := getPath(t, path); got.status != http.StatusOK || got.body != "hello world\n" {
				t.Errorf("%s: status %d, %q", path, got.status, got.body)
			}
		}
	case "demo":
		if plainPrefix.MatchString(prefix) {
			wantBody(t, prefix)
		}
		for _, path := range []string{prefix, below + "/more"} {
			got := getPath(t, path)
			if got.status != http.StatusOK || !strings.HasPrefix(got.body, "Hello world!") {
				t.Errorf("%s: status %d, %.200q", path, got.status, got.body)
			}
			// Others are quoted there.
			if script := "SCRIPT_NAME = '" + below + "'\n"; plainPrefix.MatchString(prefix) && !strings.Contains(got.body, script) {
				t.Errorf("%s: no %q in %q", path, script, got.body)
			}
		}
	default:
		t.Fatalf("unknown kind %q", kind)
	}
}

// wantBody checks that a demo at prefix gets a large body, and no name of a user that nobody
// has checked.
func wantBody(t *testing.T, prefix string) {
	t.Helper()
	request, err := http.NewRequest("POST", "http://localhost"+prefix, strings.NewReader(strings.Repeat("x", 2<<20)))
	if err != nil {
		t.Fatal(err)
	}
	request.SetBasicAuth("claimed", "x")
	got, err := fetchUnread(t, request)
	if err != nil {
		t.Fatal(err)
	}
	if got.status != http.StatusOK || !strings.Contains(got.body, "CONTENT_LENGTH = '2097152'\n") || strings.Contains(got.body, "'claimed'") {
		t.Errorf("POST %s: status %d, %q", prefix, got.status, got.body)
	}
}

// wantNotPassed checks that the web server does not pass a path on. The page of gatehouse for
// what it has no application for is plain text.
func wantNotPassed(t *testing.T, path string) {
	t.Helper()
	if got := getPath(t, path); got.status == http.StatusOK && strings.HasPrefix(got.body, "Hello world!") || got.body == "404 Not Found\n" {
		t.Errorf("%s is passed on: status %d, %.200q", path, got.status, got.body)
	}
}

var plainPrefix = regexp.MustCompile(`^[a-z0-9/]*$`)

// getPath gets the page at a path that is not encoded, without following a redirect.
func getPath(t *testing.T, path string) page {
	t.Helper()
	client := httpClient(t)
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	response, err := client.Get((&url.URL{Scheme: "http", Host: "localhost", Path: path}).String())
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	got, err := readPage(response)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// readPackaging returns the configuration of the packages.
func readPackaging(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile("packaging/gatehouse.toml")
	if err != nil {
		t.Fatal(err)
	}
	return text
}
