package apps_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"gatehouse/internal/testkit"
)

// An application is what Debian packages, and how it is driven.
type application struct {
	name     string // which docs/programs.md has
	packages string // that are installed, with what they depend on

	// recipe is whether the page has a section of this name, with the configuration of the
	// gateway and the locations of nginx. Otherwise they are those that the page has for all
	// programs of Debian's cgi-bin.
	recipe bool
	// like are the locations of nginx for fcgiwrap, and for the gateway in its place, if those of
	// Debian's example for cgi-bin are not enough.
	like string
	// static are locations for the files beside the programs.
	static string

	prepare func(t *testing.T)            // does what the administrator does
	visit   func(t *testing.T, c *client) // does what users do
	varies  []variation
	differs []difference
}

// A variation is what differs between two visits for a reason that is none of the gateway's. It
// is left out of the comparison, in requests, head fields and bodies.
type variation struct {
	pattern string // a regular expression
	why     string
}

// A difference is what the gateway does and fcgiwrap does not.
type difference struct {
	request string // which it is, as exchange.Request has it
	way     string // of the gateway
	why     string
}

// The ways of a visit.
const (
	byConfiguration = "configuration" // the gateway with a configuration
	byName          = "name"          // the gateway in the place of fcgiwrap
	byFcgiwrap      = "fcgiwrap"      // fcgiwrap
)

// likeCGIBin has the lines of Debian's example for fcgiwrap.
const likeCGIBin = `location /cgi-bin/ {
	gzip off;
	root /usr/lib;
	fastcgi_pass unix:/run/fcgiwrap.socket;
	include /etc/nginx/fastcgi_params;
	fastcgi_param SCRIPT_FILENAME /usr/lib$fastcgi_script_name;
}
`

// likePathInfo is the same for a program that wants what follows its name as PATH_INFO.
const likePathInfo = `location /cgi-bin/ {
	gzip off;
	root /usr/lib;
	fastcgi_pass unix:/run/fcgiwrap.socket;
	fastcgi_split_path_info ^(/cgi-bin/[^/]+)(/.*)?$;
	include /etc/nginx/fastcgi_params;
	fastcgi_param SCRIPT_FILENAME /usr/lib$fastcgi_script_name;
	fastcgi_param PATH_INFO $fastcgi_path_info;
}
`

// drive installs an application, and visits it three times, each time in a root of its own as
// the installation has left it: through the gateway with a configuration, through the gateway in
// the place of fcgiwrap, and through fcgiwrap. What users get is the same.
func drive(t *testing.T, a *application) {
	t.Helper()
	if wayIn() != "" {
		a.visitHere(t)
		return
	}
	if os.Getenv(rootsVariable) == "" {
		t.Skip("it installs applications: make apps")
	}
	t.Parallel()
	layers := layers(t, a)
	want := a.visitBy(t, byFcgiwrap, layers)
	for _, way := range []string{byName, byConfiguration} {
		a.compare(t, way, a.visitBy(t, way, layers), want)
	}
}

// visitBy visits the application in a process with namespaces and a root of its own, and returns
// what was exchanged.
func (a *application) visitBy(t *testing.T, way, layers string) (exchanges []exchange) {
	t.Helper()
	visit := t.Name() + "-" + way
	if err := os.Mkdir(filepath.Join(workspace, visit), 0o755); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run=^"+t.Name()+"$", "-test.count=1", "-test.timeout="+(5*testkit.Patience).String(), "-test.v")
	cmd.Env = append([]string{"HOME=/root", "TZ=UTC", wayVariable + "=" + visit, layersVariable + "=" + layers, workspaceVariable + "=" + workspace}, environment...)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC,
	}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Fatalf("%s, by %s: %v\n%s", a.name, way, err, out)
	}
	if testing.Verbose() {
		t.Logf("%s, by %s:\n%s", a.name, way, out)
	}
	text, err := os.ReadFile(filepath.Join(workspace, visit+".json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &exchanges); err != nil {
		t.Fatal(err)
	}
	if len(exchanges) == 0 {
		t.Fatalf("%s, by %s: nothing was exchanged", a.name, way)
	}
	return exchanges
}

// visitHere visits the application in this process, which has entered its root.
func (a *application) visitHere(t *testing.T) {
	if a.prepare != nil {
		a.prepare(t)
	}
	locations := a.like
	switch way := strings.TrimPrefix(wayIn(), t.Name()+"-"); way {
	case byConfiguration:
		section := everyProgram
		if a.recipe {
			section = a.name
		}
		config, server := recipe(t, filepath.Join(inside, filepath.Base(page)), section)
		startGateway(t, config)
		locations = server
	case byName:
		replaceFcgiwrap(t)
		startFcgiwrap(t)
	case byFcgiwrap:
		startFcgiwrap(t)
	default:
		t.Fatalf("no way is called %q", way)
	}
	if locations == "" {
		locations = likeCGIBin
	}
	startNginx(t, locations+a.static)
	c := newClient(t)
	a.visit(t, c)
	text, err := json.Marshal(c.exchanges)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(inside, wayIn()+".json"), text, 0o644); err != nil {
		t.Fatal(err)
	}
}

// compare fails for each exchange that is not what it was with fcgiwrap.
func (a *application) compare(t *testing.T, way string, got, want []exchange) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s, by %s: %d exchanges; with fcgiwrap %d", a.name, way, len(got), len(want))
	}
	patterns := make([]*regexp.Regexp, len(a.varies))
	for i, v := range a.varies {
		if v.why == "" {
			t.Errorf("%s: %q varies for no reason", a.name, v.pattern)
		}
		patterns[i] = regexp.MustCompile(v.pattern)
	}
	for i := range got {
		ours, theirs := got[i].lines(patterns), want[i].lines(patterns)
		at := firstDifference(ours, theirs)
		why := ""
		for _, d := range a.differs {
			if d.way == way && strings.HasPrefix(got[i].Request, d.request) {
				why = d.why
			}
		}
		switch {
		case at < 0 && why != "":
			t.Errorf("%s, by %s: %s does not differ", a.name, way, got[i].Request)
		case at >= 0 && why == "":
			t.Errorf("%s, by %s: %s differs in line %d\ngatehouse %.300q\nfcgiwrap  %.300q",
				a.name, way, got[i].Request, at, line(ours, at), line(theirs, at))
		}
	}
}

// firstDifference returns the index of the first line that differs, or -1.
func firstDifference(a, b []string) int {
	for i := range max(len(a), len(b)) {
		if line(a, i) != line(b, i) {
			return i
		}
	}
	return -1
}

// line returns a line, or what stands for one that is not there.
func line(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "(nothing)"
}
