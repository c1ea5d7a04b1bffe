package daemon

import (
	"os"
	"strings"
	"testing"
	"time"

	"gatehouse/cgi/process"
	"gatehouse/cgi/script"

	"github.com/google/go-cmp/cmp"
)

func TestParseConfinement(t *testing.T) {
	dir := t.TempDir()
	text := `
open_files = 100
[[app]]
scripts = "DIR"
user = "nobody"
group = "daemon"
check_owner = true
check_mode = true
chroot = "DIR"
umask = "027"
nice = -5
no_new_privs = true
no_core = true
read_paths = ["/usr", "/etc/hosts"]
write_paths = "/srv/data"
cgroup = "DIR"
cgroup_each = true
cgroup_memory = "512MiB"
cgroup_processes = 100
cgroup_cpu = 1.5
cpu = "10s"
address_space = "1GiB"
file_bytes = "1MiB"
processes = 50
[[app]]
prefix = "/home"
scripts = "DIR"
run_as = "owner"
min_uid = 500
min_gid = 1
umask = "000"
cgroup_cpu = 2
open_files = "off"
`
	c, err := ParseConfig("g.toml", []byte(strings.ReplaceAll(text, "DIR", dir)))
	if err != nil {
		t.Fatal(err)
	}
	want := []App{
		{Prefix: "/", Source: "g.toml:3:3", Kind: Scripts(&script.App{Roots: []string{dir},
			RunAs: process.RunAs{User: "nobody", Group: "daemon"},
			Confinement: process.Confinement{CheckOwner: true, CheckMode: true, Chroot: dir, Umask: 0o027, Nice: -5, NoNewPrivs: true, NoCore: true,
				Read: []string{"/usr", "/etc/hosts"}, Write: []string{"/srv/data"}},
			Cgroup: process.Cgroup{Dir: dir, EachProgram: true, Memory: 512 << 20, Processes: 100, CPU: 1.5}}),
			Limits: script.Limits{OpenFiles: 100, CPU: 10 * time.Second, AddressSpace: 1 << 30, FileBytes: 1 << 20, Processes: 50}},
		{Prefix: "/home", Source: "g.toml:26:1", Kind: Scripts(&script.App{Roots: []string{dir},
			RunAs:       process.RunAs{Owner: true, MinUID: 500, MinGID: 1},
			Confinement: process.Confinement{Umask: -1},
			Cgroup:      process.Cgroup{CPU: 2}}),
			Limits: script.Limits{OpenFiles: -1}},
	}
	if d := cmp.Diff(want, c.Apps, appOptions); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	// An application with a user of its own does not run as root.
	for i, unchanged := range []bool{false, false} {
		if got := c.Apps[i].Kind.traits().unchanged; got != unchanged {
			t.Errorf("%s: runs as this process: %v", c.Apps[i].Prefix, got)
		}
	}
}

func TestConfinementErrors(t *testing.T) {
	dir := t.TempDir()
	for line, want := range map[string]string{
		`user = ""`:                      `user: an empty name: write one, or remove the key`,
		`user = 33`:                      `user: 33 is not a string in quotes`,
		`run_as = "alice"`:               `run_as: "alice" is not "owner": for a user write user = "alice"`,
		`min_uid = 0`:                    `min_uid: 0 is less than 1`,
		`check_mode = "yes"`:             `check_mode: "yes" is not true or false`,
		`chroot = "DIR/a/b"`:             `chroot: directory DIR/a does not exist: create it, or write another one`,
		`chroot = "jail"`:                `chroot: "jail" is not an absolute path: in a file, write the whole path`,
		`directory = "data"`:             `directory: "data" is not an absolute path: in a file, write the whole path`,
		`directory = ""`:                 `directory: empty path: write a directory, or remove the key`,
		`umask = "8"`:                    `umask: "8" is not a umask: write three octal digits in quotes, such as "027"`,
		`umask = 27`:                     `umask: 27 is not a string in quotes`,
		`nice = -21`:                     `nice: -21 is less than -20`,
		`nice = "low"`:                   `nice: "low" is not a whole number up to 2147483647`,
		`read_paths = ["usr"]`:           `read_paths: "usr" is not an absolute path: in a file, write the whole path`,
		`write_paths = ""`:               `write_paths: empty path: write a file or a directory`,
		`cgroup = "DIR/a/b"`:             `cgroup: directory DIR/a does not exist: create it, or write another one`,
		`cgroup_memory = "0B"`:           `cgroup_memory: "0B" is not more than zero: write a size, such as 65536, "64KiB" or "1GiB"`,
		`cgroup_processes = 0`:           `cgroup_processes: 0 is less than 1`,
		`cgroup_cpu = "150%"`:            `cgroup_cpu: "150%" is not a number of processors, such as 0.5 or 2`,
		`cgroup_cpu = -1`:                `cgroup_cpu: -1 is not a number of processors, such as 0.5 or 2`,
		`address_space = "0MiB"`:         `address_space: "0MiB" is not more than zero: write a size, such as 65536, "64KiB" or "1GiB", or "off" for no limit`,
		"hello = true\nno_core = true\n": `application "/" is more than one thing (scripts, hello): write an [[app]] for each`,
	} {
		_, err := ParseConfig("g.toml", []byte(strings.ReplaceAll("[[app]]\nscripts = \"DIR\"\n"+line+"\n", "DIR", dir)))
		place := "g.toml:3:1: "
		if strings.HasPrefix(line, "hello") {
			place = "g.toml:1:3: "
		}
		checkError(t, err, strings.ReplaceAll(place+want, "DIR", dir))
	}
	_, err := ParseConfig("g.toml", []byte("[[app]]\nhello = true\nno_core = true\n"))
	checkError(t, err, `g.toml:1:3: application "/" runs no CGI programs: no_core goes with scripts, fastcgi-exec and wsgi`)
}

// TestCheckConfinement has the place of the application before each thing.
func TestCheckConfinement(t *testing.T) {
	dir := t.TempDir()
	programs := &script.App{Roots: []string{dir}}
	programs.RunAs.User, programs.Confinement.Nice = "nobody-has-this", 99
	c := Config{Apps: []App{{Prefix: "/", Source: "g.toml:3:1", Kind: Scripts(programs)}}}
	checkError(t, c.Check(), "g.toml:3:1: user: there is no user \"nobody-has-this\": create it, or write another one\n"+
		"g.toml:3:1: nice: 99 is not from -20 to 19")
	programs = &script.App{Roots: []string{dir}, Dir: dir + "/a"}
	c = Config{Apps: []App{{Prefix: "/", Source: "g.toml:3:1", Kind: Scripts(programs)}}}
	checkError(t, c.Check(), "g.toml:3:1: directory: "+dir+"/a: the directory that the program starts in does not exist: create it")
	if os.Geteuid() != 0 {
		programs.RunAs.User, programs.Confinement.Nice = "nobody", 0
		checkError(t, c.Check(), "g.toml:3:1: user: only root can run programs as user nobody, and this process runs as "+thisUser()+": start it as root, or remove user")
	}
}

// TestWarnings: what is in order, and yet hardly meant. A program in a list serves what the
// others do not have; one with a prefix, or alone, is meant to.
func TestWarnings(t *testing.T) {
	dir := t.TempDir()
	program := dir + "/backend"
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir+"/cgi-bin", 0o755); err != nil {
		t.Fatal(err)
	}
	everything := "scripts: without a prefix, " + program + " serves every path that the others in the list do not have: " +
		`write an [[app]] for it alone, such as prefix = "/backend", scripts = "` + program + `"`
	system := "scripts: /usr/bin is a directory of the system, and clients could run every program in it: " +
		`write an [[app]] for each that is meant, with a prefix of its own and scripts = "/usr/bin/PROGRAM"`
	for text, want := range map[string][]string{
		"[[app]]\nscripts = [\"DIR/cgi-bin\", \"DIR/backend\"]\n":                         {"g.toml:1:3: " + everything},
		"[[app]]\nscripts = [\"DIR/backend\", \"DIR/cgi-bin\"]\nprefix = \"/\"\n":         {"g.toml:3:1: " + everything},
		"[[app]]\nscripts = [\"DIR/cgi-bin\", \"DIR/backend\"]\nprefix = \"/cgi-bin\"\n":  nil,
		"[[app]]\nscripts = \"DIR/backend\"\n":                                            nil,
		"[[app]]\nscripts = \"DIR/cgi-bin\"\n[[app]]\nprefix = \"/x\"\nfiles = \"DIR\"\n": nil,
		"[[app]]\nscripts = [\"/usr/bin\", \"DIR/backend\"]\n":                            {"g.toml:1:3: " + system, "g.toml:1:3: " + everything},
	} {
		c, err := ParseConfig("g.toml", []byte(strings.ReplaceAll(text, "DIR", dir)))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Check(); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if d := cmp.Diff(want, c.Warnings()); d != "" {
			t.Errorf("%s: -want +got\n%s", text, d)
		}
	}
	var c Config
	var apps []App
	for _, flag := range []string{"scripts:" + dir + "/cgi-bin", "scripts:" + program} {
		a, err := ParseApp(flag)
		if err != nil {
			t.Fatal(err)
		}
		apps = append(apps, a)
	}
	c.AddApps(apps...)
	if d := cmp.Diff([]string{"--app /=scripts: " + everything}, c.Warnings()); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	c.Apps = []App{{Prefix: "/", Kind: Scripts(&script.App{Roots: []string{"/bin", program}, Manner: script.Fcgiwrap})}}
	if got := c.Warnings(); len(got) > 0 {
		t.Errorf("in the manner of fcgiwrap: %q", got)
	}
}

// TestFollowFile: a link may lead to a file, which must be a program.
func TestFollowFile(t *testing.T) {
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"program": 0o755, "text": 0o644} {
		if err := os.WriteFile(dir+"/"+name, nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	for follow, want := range map[string]string{
		"DIR/program":        "",
		`DIR/program", "DIR`: "",
		"DIR/text":           "g.toml:3:1: follow: DIR/text is not executable: it needs an x bit to be a program (chmod +x)",
		"/dev/null":          "g.toml:3:1: follow: /dev/null is neither a directory nor a program: write a directory of programs, or one program",
		"DIR/none":           "g.toml:3:1: follow: directory DIR/none does not exist: create it, or write another one",
	} {
		in := strings.NewReplacer("DIR", dir)
		c, err := ParseConfig("g.toml", []byte(in.Replace("[[app]]\nscripts = \"DIR\"\nfollow = [\""+follow+"\"]\n")))
		if want != "" {
			checkError(t, err, in.Replace(want))
			continue
		}
		if err != nil || c.Check() != nil {
			t.Errorf("%s: %v", follow, err)
		}
	}
}
