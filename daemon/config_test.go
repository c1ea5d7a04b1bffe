package daemon

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/cgi"
	"gatehouse/cgi/files"
	"gatehouse/cgi/script"
	"gatehouse/cgi/spool"
	"gatehouse/fastcgi/pool"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestParseConfig(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "program")
	if err := os.WriteFile(program, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(`idle_exit = "5m" # all of it
fastcgi = ["unix:/run/f.sock,group=www-data", "systemd:fastcgi.site"]
scgi = "127.0.0.1:4000"
allow = ["192.0.2.7", "10.0.0.0/8"]
access_log = "stderr"
paths = "apache"
validate = true
max_connections = 20
body_bytes = "10MiB"
programs = 8
silence = "off"

[[app]]
prefix = "/cgi-bin"
scripts = ["DIR", "DIR/program"]
follow = ["DIR"]
inherit = ["PATH"]
stderr = "client"
pass_authorization = true
programs = 2

[app.env]
GIT_PROJECT_ROOT = "/srv/git"
EMPTY = ""

[[app]]
prefix = "/git"
scripts = "DIR/program"
env = { A = "b" }
inherit = "all"
stderr = "log"

[[app]]
prefix = "/static"
files = "DIR"
hidden = true

[[app]]
hello = true
`, "DIR", dir)
	got, err := ParseConfig("g.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{
		FastCGI: []Address{
			{Kind: AddressUnix, Path: "/run/f.sock", Mode: 0o660, Group: "www-data"},
			{Kind: AddressSystemd, Name: "fastcgi.site"},
		},
		SCGI:      []Address{{Host: "127.0.0.1", Port: 4000}},
		Allow:     []netip.Prefix{netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("10.0.0.0/8")},
		AccessLog: "stderr",
		File:      "g.toml",
		IdleExit:  5 * time.Minute,
		Validate:  true,
		Paths:     cgi.PathApache,
	}
	want.Limits.Front.Connections = 20
	want.Limits.Front.BodyBytes = 10 << 20
	want.Limits.Programs.Programs = 8
	want.Limits.Programs.Silence = -1
	own := want.Limits.Programs
	own.Programs = 2
	want.Apps = []App{
		{Prefix: "/cgi-bin", Source: "g.toml:14:1", Kind: Scripts(&script.App{Roots: []string{dir, program}, Follow: []string{dir},
			Env: []string{"EMPTY=", "GIT_PROJECT_ROOT=/srv/git"}, Inherit: []string{"PATH"}, StderrToClient: true, PassAuthorization: true}), Limits: own},
		{Prefix: "/git", Source: "g.toml:27:1", Kind: Scripts(&script.App{Roots: []string{program}, Env: []string{"A=b"}, InheritAll: true}), Limits: want.Limits.Programs},
		{Prefix: "/static", Source: "g.toml:34:1", Kind: Files(&files.App{Dir: dir, Hidden: true}), Limits: want.Limits.Programs},
		{Prefix: "/", Source: "g.toml:38:3", Kind: Hello(), Limits: want.Limits.Programs},
	}
	if d := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Prefix{}), appOptions); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
}

// TestParseConfigAlone: the keys of a single application may be at the top level, in any order.
func TestParseConfigAlone(t *testing.T) {
	dir := t.TempDir()
	got, err := ParseConfig("g.toml", []byte(strings.ReplaceAll(`fastcgi = "127.0.0.1:9000"
stderr = "client"
scripts = "DIR"
prefix = "/cgi-bin"
scgi = "127.0.0.1:4000"
programs = 8

[env]
A = "b"
`, "DIR", dir)))
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{File: "g.toml", FastCGI: []Address{{Host: "127.0.0.1", Port: 9000}}, SCGI: []Address{{Host: "127.0.0.1", Port: 4000}}}
	want.Limits.Programs.Programs = 8
	want.Apps = []App{{Prefix: "/cgi-bin", Source: "g.toml:2:1", Limits: want.Limits.Programs,
		Kind: Scripts(&script.App{Roots: []string{dir}, Env: []string{"A=b"}, StderrToClient: true})}}
	if d := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Prefix{}), appOptions); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
}

func TestParseConfigErrors(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, text, want string }{
		{"misspelt key", "\nfatscgi = []\n", `g.toml:2:1: unknown key "fatscgi": did you mean "fastcgi"?`},
		{"misspelt key of an application", "[[app]]\nhello = true\n[[app]]\n  scripts = \"DIR\"\n  folow = []\n",
			`g.toml:5:3: unknown key "folow": did you mean "follow"?`},
		{"unknown table", "[server]\nx = 1\n", `g.toml:1:2: unknown key "server"`},
		{"limit that is not per application", "[[app]]\nhello = true\nidle = \"1s\"\n", `g.toml:3:1: unknown key "idle"`},
		{"limits in a table", "[limits]\ndrain = \"1s\"\n", `g.toml:1:2: unknown key "limits": limits have no table: write them at the top level, above the first [[app]]`},
		{"limits in a table of an application", "[[app]]\nhello = true\n[app.limits]\nrun = \"1s\"\n",
			`g.toml:3:6: unknown key "limits": limits have no table: write them among the keys of the [[app]]`},
		{"limit below an application", "[[app]]\nhello = true\ndrain = \"1s\"\n",
			`g.toml:3:1: unknown key "drain": this limit is global: write it at the top level, above the first [[app]]`},
		{"unknown key of an application", "[[app]]\nhello = true\nzzzzzzzzz = 1\n",
			`g.toml:3:1: unknown key "zzzzzzzzz": the keys here are address_space, authorizer, cgroup, cgroup_cpu, cgroup_each, cgroup_memory, cgroup_processes, check_mode, check_owner, chroot, connections, cpu, demo, dial, directory, env, fastcgi, fastcgi_exec, file_bytes, files, first_byte, follow, grace, group, head_bytes, hello, hidden, idle_end, index, inherit, interpreters, keep, keep_idle, keep_requests, local_redirect, min_gid, min_uid, minimum, nice, no_core, no_new_privs, nph, only, open_files, pass_authorization, prefix, processes, programs, programs_per_address, programs_per_script, python, queue, queue_wait, read_paths, ready, recycle_age, recycle_memory, recycle_requests, role, root, run, run_as, scgi, scripts, search_args, silence, slow, slow_interval, stderr, stderr_bytes, streaming, translate, umask, user, workers, write_paths, wsgi`},
		{"second application", "[[app]]\nhello = true\n[[app]]\nprefix = \"/x\"\n", `g.toml:3:3: application "/x" does nothing`},
		{"short idle_exit", "idle_exit = \"10ms\"\n", "g.toml:1:1: idle_exit: idle exit after 10ms: it must be 1s or more"},
		{"negative idle_exit", "idle_exit = \"-1s\"\n", `g.toml:1:1: idle_exit: "-1s" is not a time`},
		{"byte order mark", "\xef\xbb\xbfdrain = \"1s\"\n", "g.toml:1:1: the file begins with a byte order mark: save it as UTF-8 without one"},
		{"UTF-16", "\xff\xfed\x00", "g.toml:1:1: the file begins with a byte order mark: save it as UTF-8 without one"},
		{"syntax", "fastcgi = [\n", "g.toml:"},
		{"key twice", "drain = \"1s\"\ndrain = \"2s\"\n", "g.toml:2:1: "},
		{"bad address", "http = [\":80\", \"x\"]\n", `g.toml:1:1: http: "x" is not an address`},
		{"address of another type", "http = 80\n", `g.toml:1:1: http: 80 is not a string in quotes`},
		{"list of another type", "http = [80]\n", `g.toml:1:1: http: 80 is not a string in quotes`},
		{"bad limit", "idle = 75\n", `g.toml:1:1: idle: 75 is not a time, such as "500ms", "60s" or "2m": it needs a unit, in quotes`},
		{"bad policy", "paths = \"lighttpd\"\n", `g.toml:1:1: paths: "lighttpd" is not one of auto, nginx, apache, iis, keep and request`},
		{"bad network", "allow = \"all\"\n", `g.toml:1:1: allow: "all" is not a network`},
		{"empty access log", "access_log = \"\"\n", `g.toml:1:1: access_log: write "off", "stderr", "syslog" or the path of a file`},
		{"missing directory of the access log", "access_log = \"DIR/a/b/log\"\n", `g.toml:1:1: access_log: directory DIR/a does not exist`},
		{"app in single brackets", "[app]\nhello = true\n", `g.toml:1:2: app: applications are written as [[app]], in double brackets`},
		{"app as a list", "app = [1]\n", `g.toml:1:1: app: applications are written as [[app]], in double brackets`},
		{"nothing", "[[app]]\nprefix = \"/x\"\n", `g.toml:1:3: application "/x" does nothing: write scripts = "DIR", files = "DIR", fastcgi = "ADDR", fastcgi_exec = "COMMAND", scgi = "ADDR", wsgi = "MODULE:ATTR", demo = true or hello = true`},
		{"switched off", "[[app]]\nhello = false\n", `g.toml:1:3: application "/" does nothing`},
		{"two things", "[[app]]\nhello = true\nscripts = \"DIR\"\n", `g.toml:1:3: application "/" is more than one thing (scripts, hello): write an [[app]] for each`},
		{"a flag of another type", "[[app]]\nhello = 1\n", `g.toml:2:1: hello: 1 is not true or false`},
		{"no command", "[[app]]\nfastcgi_exec = []\n", `g.toml:2:1: fastcgi_exec: empty command: write the FastCGI program to start, such as php-cgi`},
		{"blank command", "[[app]]\nfastcgi_exec = \" \"\n", `g.toml:2:1: fastcgi_exec: empty command: write the FastCGI program to start, such as php-cgi`},
		{"owner of kept processes", "[[app]]\nfastcgi_exec = \"x\"\nrun_as = \"owner\"\n", `g.toml:1:3: application "/" has no run_as: its processes serve all requests, so they have one user: write user`},
		{"connections to kept processes", "[[app]]\nfastcgi_exec = \"x\"\nkeep = 3\n", `g.toml:1:3: application "/" has no keep: one connection to each of its processes is kept: write programs for how many there are`},
		{"scripts of kept processes", "[[app]]\nfastcgi_exec = \"x\"\nprograms_per_script = 3\n", `g.toml:3:1: programs_per_script: it has one program: write programs`},
		{"programs of kept processes", "[[app]]\nfastcgi_exec = \"x\"\nsearch_args = false\n", `g.toml:1:3: application "/" runs no CGI programs: search_args goes with scripts`},
		{"all of the environment", "[[app]]\nfastcgi_exec = \"x\"\ninherit = \"all\"\n", `g.toml:3:1: inherit: "all" is for scripts and wsgi: write the names of the variables`},
		{"no host", "[[app]]\nfastcgi = \":9000\"\n", `g.toml:2:1: fastcgi: ":9000" has no host: write 127.0.0.1:9000 for this machine`},
		{"no scheme", "[[app]]\nscgi = \"/run/x.sock\"\n", `g.toml:2:1: scgi: "/run/x.sock" is not an address: for a unix socket write unix:/run/x.sock`},
		{"relative root", "[[app]]\nfastcgi = \"unix:/run/x.sock\"\nroot = \"php\"\n", `g.toml:3:1: root: "php" is not an absolute path`},
		{"missing follow", "[[app]]\nfastcgi = \"unix:/run/x.sock\"\nroot = \"/\"\nfollow = \"/nonexistent\"\n", `g.toml:4:1: follow: directory /nonexistent does not exist: create it, or write another one`},
		{"keep below zero", "[[app]]\nfastcgi = \"unix:/run/x.sock\"\nkeep = -1\n", `g.toml:3:1: keep: -1 is less than 0`},
		{"no time to keep", "[[app]]\nfastcgi = \"unix:/run/x.sock\"\nkeep_idle = \"0s\"\n", `g.toml:3:1: keep_idle: "0s" is not more than zero: write a time, such as "500ms", "60s" or "2m"`},
		{"relative translate", "[[app]]\nfastcgi = \"unix:/run/x.sock\"\ntranslate = { x = \"/y\" }\n", `g.toml:3:15: x: "x" is not an absolute path`},
		{"filter", "[[app]]\nfastcgi = \"unix:/run/x.sock\"\nrole = \"filter\"\n", `g.toml:3:1: role: unknown role "filter": write "responder" or "authorizer"`},
		{"relative authorizer", "[[app]]\nfastcgi = \"unix:/run/x.sock\"\nauthorizer = \"unix:auth\"\n", `g.toml:3:1: authorizer: "auth" is not an absolute path`},
		{"keys of another kind", "[[app]]\nhello = true\nkeep = 3\n", `g.toml:1:3: application "/" passes no request on: keep goes with fastcgi`},
		{"listening below an application", "[[app]]\nhello = true\nfastcgi = \"127.0.0.1:9000\"\n",
			`g.toml:1:3: application "/" is more than one thing (fastcgi, hello): write an [[app]] for each; to listen there, write fastcgi above the first [[app]]`},
		{"fcgi", "fcgi = \"127.0.0.1:9000\"\n", `g.toml:1:1: unknown key "fcgi": did you mean "fastcgi"?`},
		{"fcgi as a kind", "[[app]]\nfcgi = \"127.0.0.1:9000\"\n",
			`g.toml:2:1: unknown key "fcgi": did you mean "fastcgi"?`},
		{"an application without its head", "http = \":80\"\nscripts = \"DIR\"\nprefix = \"/x\"\n[[app]]\nhello = true\n",
			`g.toml:2:1: scripts, prefix: beside an [[app]], the keys of an application belong in one, too: write [[app]] in the line above scripts`},
		{"alone, with nothing to serve", "fastcgi = \"127.0.0.1:9000\"\nprefix = \"/x\"\n",
			`g.toml:2:1: application "/x" does nothing: write scripts = "DIR", files = "DIR", fastcgi_exec = "COMMAND", wsgi = "MODULE:ATTR", demo = true or hello = true`},
		{"alone, two things", "hello = true\nscripts = \"DIR\"\n", `g.toml:1:1: application "/" is more than one thing (scripts, hello): write an [[app]] for each`},
		{"alone, with a key of another kind", "http = \":80\"\nhello = true\nenv = { A = \"b\" }\n",
			`g.toml:2:1: application "/" runs no CGI programs: follow, env, inherit, role, stderr and pass_authorization go with scripts, fastcgi, fastcgi-exec, scgi and wsgi`},
		{"alone, with a key of a kind that needs an [[app]]", "scripts = \"DIR\"\nkeep = 3\n", `g.toml:1:1: application "/" passes no request on: keep goes with fastcgi`},
		{"alone, misspelt", "http = \":80\"\nscirpts = \"DIR\"\n", `g.toml:2:1: unknown key "scirpts": did you mean "scripts"?`},
		{"alone, with a bad limit", "scripts = \"DIR\"\nprograms = -1\n", `g.toml:2:1: programs: `},
		{"cgi", "[[app]]\ncgi = \"DIR\"\n", `g.toml:2:1: unknown key "cgi": did you mean "scripts"?`},
		{"no quotes", "# where\nfastcgi = 127.0.0.1:9100\n", `g.toml:2:11: fastcgi: 127.0.0.1:9100 is not in quotes: write "127.0.0.1:9100"`},
		{"bad prefix", "[[app]]\nprefix = \"x\"\nhello = true\n", `g.toml:2:1: prefix: prefix "x" does not begin with a slash`},
		{"prefix with dots", "[[app]]\nprefix = \"/a/../b\"\nhello = true\n", `g.toml:2:1: prefix: prefix "/a/../b" has a ".." segment`},
		{"missing directory", "[[app]]\nscripts = \"DIR/a/b\"\n", `g.toml:2:1: scripts: directory DIR/a does not exist: create it, or write another one`},
		{"missing program", "[[app]]\nscripts = \"DIR/none\"\n", `g.toml:2:1: scripts: DIR/none does not exist: write a directory of programs, or one program`},
		{"no program", "[[app]]\nscripts = \"DIR/plain\"\n", `g.toml:2:1: scripts: DIR/plain is not executable: it needs an x bit to be a program (chmod +x)`},
		{"missing directory of files", "[[app]]\nfiles = \"DIR/a/b\"\n", `g.toml:2:1: files: directory DIR/a does not exist: create it, or write another one`},
		{"a file as the directory of files", "[[app]]\nfiles = \"DIR/plain\"\n", `g.toml:2:1: files: DIR/plain is not a directory`},
		{"no directory of files", "[[app]]\nfiles = \"\"\n", `g.toml:2:1: files: empty path: write the directory of the files`},
		{"two directories of files", "[[app]]\nfiles = [\"DIR\"]\n", `g.toml:2:1: files: [DIR] is not a string in quotes`},
		{"hidden of programs", "[[app]]\nscripts = \"DIR\"\nhidden = true\n", `g.toml:1:3: application "/" serves no files: hidden goes with files`},
		{"env of files", "[[app]]\nfiles = \"DIR\"\nenv = { A = \"b\" }\n", `g.toml:1:3: application "/" runs no CGI programs: follow, env, inherit, role, stderr and pass_authorization go with scripts`},
		{"key of the whole in an application", "[[app]]\nhello = true\nallow_users = [\"root\"]\n", `g.toml:3:1: unknown key "allow_users": this key is global: write it at the top level, above the first [[app]]`},
		{"role of hello", "[[app]]\nhello = true\nrole = \"authorizer\"\n", `g.toml:1:3: application "/" runs no CGI programs: follow, env, inherit, role, stderr and pass_authorization go with scripts`},
		{"role of a filter", "[[app]]\nscripts = \"DIR\"\nrole = \"filter\"\n", `g.toml:3:1: role: a CGI program has no second input, so it cannot be a filter: write "responder" or "authorizer"`},
		{"unknown role", "[[app]]\nscripts = \"DIR\"\nrole = \"guard\"\n", `g.toml:3:1: role: unknown role "guard": write "responder" or "authorizer"`},
		{"device as a program", "[[app]]\nscripts = \"" + os.DevNull + "\"\n",
			"g.toml:2:1: scripts: " + os.DevNull + " is neither a directory nor a program: write a directory of programs, or one program"},
		{"relative scripts", "[[app]]\nscripts = \"bin\"\n", `g.toml:2:1: scripts: "bin" is not an absolute path: in a file, write the whole path`},
		{"relative files", "[[app]]\nfiles = \"public\"\n", `g.toml:2:1: files: "public" is not an absolute path: in a file, write the whole path`},
		{"relative access log", "access_log = \"log\"\n", `g.toml:1:1: access_log: "log" is not an absolute path`},
		{"relative spool", "spool_dir = \"tmp\"\n", `g.toml:1:1: spool_dir: "tmp" is not an absolute path`},
		{"relative socket", "http = \"unix:s\"\n", `g.toml:1:1: http: "s" is not an absolute path`},
		{"access log that is a directory", "access_log = \"DIR\"\n", `g.toml:1:1: access_log: DIR is a directory: write the path of a file`},
		{"missing follow", "[[app]]\nscripts = \"DIR\"\nfollow = [\"DIR/a\"]\n", `g.toml:3:1: follow: directory DIR/a does not exist: create it, or write another one`},
		{"relative follow", "[[app]]\nscripts = \"DIR\"\nfollow = \"x\"\n", `g.toml:3:1: follow: "x" is not an absolute path`},
		{"env of hello", "[[app]]\nhello = true\nenv = { A = \"b\" }\n", `g.toml:1:3: application "/" runs no CGI programs: follow, env, inherit, role, stderr and pass_authorization go with scripts`},
		{"env as a list", "[[app]]\nscripts = \"DIR\"\nenv = [\"A=b\"]\n", `g.toml:3:1: env: [A=b] is not a table: write { NAME = "value" }`},
		{"env with a number", "[[app]]\nscripts = \"DIR\"\nenv = { A = 1 }\n", `g.toml:3:9: A: 1 is not a string in quotes`},
		{"env with a bad name", "[[app]]\nscripts = \"DIR\"\nenv = { \"A=\" = \"1\" }\n", `g.toml:3:9: A=: "A=" is not the name of a variable`},
		{"inherit with all and a name", "[[app]]\nscripts = \"DIR\"\ninherit = [\"PATH\", \"all\"]\n", `g.toml:3:1: inherit: "all" must be the only value: write inherit = "all", or the names of variables`},
		{"inherit with a name and all", "[[app]]\nscripts = \"DIR\"\ninherit = [\"all\", \"PATH\"]\n", `g.toml:3:1: inherit: "all" must be the only value`},
		{"unknown stderr", "[[app]]\nscripts = \"DIR\"\nstderr = \"/dev/null\"\n", `g.toml:3:1: stderr: "/dev/null" is neither "log" nor "client"`},
		{"stderr of hello", "[[app]]\nhello = true\nstderr = \"client\"\n", `g.toml:1:3: application "/" runs no CGI programs`},
		{"inherit with a bad name", "[[app]]\nscripts = \"DIR\"\ninherit = \"\"\n", `g.toml:3:1: inherit: "" is not the name of a variable`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := ParseConfig("g.toml", []byte(strings.ReplaceAll(tt.text, "DIR", dir)))
			if err == nil {
				t.Fatal("no error")
			}
			got := strings.ReplaceAll(err.Error(), dir, "DIR")
			if !strings.HasPrefix(got, tt.want) || strings.Contains(got, "\n") {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
			if c != nil {
				t.Errorf("a configuration with an error: %+v", c)
			}
		})
	}
}

// TestParseConfigAllErrors has a line for each of several mistakes.
func TestParseConfigAllErrors(t *testing.T) {
	_, err := ParseConfig("g.toml", []byte("idle = 1\nhtp = 2\n[[app]]\nhello = true\n[[app]]\ndemo = true\nrunn = 1\n"))
	if err == nil {
		t.Fatal("no error")
	}
	var places []string
	for line := range strings.SplitSeq(err.Error(), "\n") {
		places = append(places, line[:len("g.toml:1:1")])
	}
	if d := cmp.Diff([]string{"g.toml:1:1", "g.toml:2:1", "g.toml:7:1"}, places); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
}

func TestLoadConfigErrors(t *testing.T) {
	dir := t.TempDir()
	large := filepath.Join(dir, "large")
	if err := os.WriteFile(large, make([]byte, maxConfig+1), 0o644); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		dir + "/none": "no such file: create it, or write another one after --config",
		dir:           "is a directory: write the path of a file after --config",
		large:         "the file is longer than 4194304 bytes",
	} {
		_, err := LoadConfig(file)
		checkError(t, err, file+": "+want)
	}
}

func TestParseApp(t *testing.T) {
	dir := t.TempDir()
	tests := []struct {
		text string
		want App
		err  string
	}{
		{"demo", App{Prefix: "/", Kind: Demo()}, ""},
		{"/=hello", App{Prefix: "/", Kind: Hello()}, ""},
		{"/a/b=demo", App{Prefix: "/a/b", Kind: Demo()}, ""},
		{"/cgi-bin=scripts:" + dir, App{Prefix: "/cgi-bin", Kind: Scripts(&script.App{Roots: []string{dir}})}, ""},
		{"scripts:" + dir, App{Prefix: "/", Kind: Scripts(&script.App{Roots: []string{dir}})}, ""},
		{"x=hello", App{}, `prefix "x" does not begin with a slash: write /x=hello`},
		{"=hello", App{}, `prefix "" does not begin with a slash: write /=hello`},
		{"scripts:" + dir + "/x=y/z", App{}, "directory " + dir + "/x=y does not exist: create it, or write another one"},
		{"scripts:" + os.DevNull, App{}, os.DevNull + " is neither a directory nor a program: write a directory of programs, or one program"},
		{"", App{}, `unknown kind of application "": there are demo, hello, fastcgi:ADDR, scgi:ADDR, fastcgi-exec:COMMAND, scripts:DIR, files:DIR and wsgi:MODULE:ATTR`},
		{"/x", App{}, `"/x" has no kind: write /x=demo, /x=hello, /x=fastcgi:ADDR, /x=scgi:ADDR, /x=fastcgi-exec:COMMAND, /x=scripts:DIR, /x=files:DIR or /x=wsgi:MODULE:ATTR`},
		{"script:" + dir, App{}, `unknown kind of application "script": did you mean "scripts"?`},
		{"scripts", App{}, `"scripts" has no directory: write scripts:DIR`},
		{"scripts:" + dir + "/x/y", App{}, "directory " + dir + "/x does not exist: create it, or write another one"},
		{"hello:x", App{}, `"hello:x": hello takes no target`},
		{"/static=files:" + dir, App{Prefix: "/static", Kind: Files(&files.App{Dir: dir})}, ""},
		{"files", App{}, `"files" has no directory: write files:DIR`},
		{"files:" + dir + "/x/y", App{}, "directory " + dir + "/x does not exist: create it, or write another one"},
		{"file:" + dir, App{}, `unknown kind of application "file": did you mean "files"?`},
		{"fastcgi-exec:x  -y 'z", App{Prefix: "/", Kind: FastCGIExec(&pool.App{Command: []string{"x", "-y", "'z"}})}, ""},
		{"fastcgi-exec: ", App{}, "empty command: write the FastCGI program to start, such as php-cgi"},
		{"/x/../y=demo", App{}, `prefix "/x/../y" has a ".." segment`},
	}
	for _, tt := range tests {
		got, err := ParseApp(tt.text)
		checkError(t, err, tt.err)
		if d := cmp.Diff(tt.want, got, appOptions); d != "" {
			t.Errorf("%q: -want +got\n%s", tt.text, d)
		}
	}
}

func TestAddApps(t *testing.T) {
	c := &Config{Apps: []App{{Prefix: "/a", Kind: Scripts(&script.App{Roots: []string{"/0"}})}}}
	c.Limits.Programs.Grace = time.Second
	c.AddApps(App{Prefix: "/b", Kind: Scripts(&script.App{Roots: []string{"/1"}})}, App{Prefix: "/", Kind: Hello()},
		App{Prefix: "/b", Kind: Scripts(&script.App{Roots: []string{"/2"}})}, App{Prefix: "/a", Kind: Scripts(&script.App{Roots: []string{"/3"}})})
	l := c.Limits.Programs
	want := []App{
		{Prefix: "/a", Kind: Scripts(&script.App{Roots: []string{"/0"}})},
		{Prefix: "/b", Kind: Scripts(&script.App{Roots: []string{"/1", "/2"}}), Limits: l},
		{Prefix: "/", Kind: Hello(), Limits: l},
		{Prefix: "/a", Kind: Scripts(&script.App{Roots: []string{"/3"}}), Limits: l},
	}
	if d := cmp.Diff(want, c.Apps, appOptions); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	err := errors.Join(checkMounts(c.Apps)...)
	checkError(t, err, `--app /a=scripts: prefix "/a" is mounted twice, the first time by --app /a=scripts: give one of them another prefix, or remove it`)
}

func TestCheck(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	address := func(s string) []Address {
		a, err := ParseAddress(s)
		if err != nil {
			t.Fatal(err)
		}
		return []Address{a}
	}
	reach := " can be reached from other machines, and anyone who can reach it can set every variable: " +
		"add --allow with the address of the web server, or listen on 127.0.0.1 or a unix socket"
	allow := []netip.Prefix{netip.MustParsePrefix("192.0.2.7/32")}
	tests := []struct {
		name   string
		config Config
		want   string
	}{
		{"nothing", Config{}, ""},
		{"loopback", Config{FastCGI: address("127.0.0.1:9000"), SCGI: address("[::1]:4000"), HTTP: address("localhost:80")}, ""},
		{"wildcard", Config{FastCGI: address(":9000")}, "fastcgi on :9000" + reach},
		{"public address", Config{SCGI: address("192.0.2.1:4000")}, "scgi on 192.0.2.1:4000" + reach},
		{"allowed", Config{FastCGI: address(":9000"), Allow: allow}, ""},
		{"HTTP is not authenticated anyway", Config{HTTP: address(":8080")}, ""},
		{"missing directory", Config{HTTP: address("unix:" + dir + "/a/b/s")},
			"unix:" + dir + "/a/b/s: directory " + dir + "/a does not exist: create it, or write another one"},
		{"no such user", Config{HTTP: address("unix:" + dir + "/s,owner=nobody-has-this")},
			"unix:" + dir + `/s: there is no user "nobody-has-this": create it, or write another one after owner=`},
		{"no such group", Config{HTTP: address("unix:" + dir + "/s,group=nobody-has-this")},
			"unix:" + dir + `/s: there is no group "nobody-has-this": create it, or write another one after group=`},
		{"a file in the place of a socket", Config{HTTP: address("unix:" + plain)},
			"unix:" + plain + " exists and is not a socket: remove it, or choose another path"},
		{"directory and group", Config{HTTP: address("unix:" + dir + "/a/s,group=nobody-has-this")},
			"unix:" + dir + "/a/s: directory " + dir + "/a does not exist: create it, or write another one\n" +
				"unix:" + dir + `/a/s: there is no group "nobody-has-this": create it, or write another one after group=`},
		{"access log that is a directory", Config{AccessLog: dir}, "access log: " + dir + " is a directory: write the path of a file"},
		{"missing spool", Config{Limits: Limits{Spool: spool.Limits{Dir: dir + "/a"}}},
			"spool_dir: directory " + dir + "/a does not exist: create it, or write another one"},
		{"missing root and follow", Config{Apps: []App{{Prefix: "/", Kind: Scripts(&script.App{Roots: []string{dir + "/a"}, Follow: []string{dir + "/b/c"}})}}},
			dir + "/a does not exist: write a directory of programs, or one program\n" +
				"directory " + dir + "/b does not exist: create it, or write another one"},
		{"mounted twice", Config{Apps: []App{{Prefix: "/x", Source: "g.toml:3:1", Kind: Hello()}, {Prefix: "/x/", Kind: Demo()}}},
			`--app /x/=demo: prefix "/x/" is mounted twice, the first time by g.toml:3:1: give one of them another prefix, or remove it`},
		{"twice", Config{HTTP: address("unix:" + dir + "/s"), SCGI: address("unix:" + dir + "//s,mode=0600")},
			"unix:" + dir + "//s,mode=0600 is given twice: remove one"},
		{"two free ports", Config{HTTP: address("127.0.0.1:0"), SCGI: address("127.0.0.1:0")}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { checkError(t, tt.config.Check(), tt.want) })
	}
}
