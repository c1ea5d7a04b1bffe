// Package docker_test builds the container image, and runs what is in it as process 1 of a
// process namespace, as the runtime of a container does.
package docker_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"gatehouse/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// workVariable names the directory that the image is built in, for the process that the test
// runs in.
const workVariable = "GATEHOUSE_IMAGE_WORK"

// run runs a command, and returns what it wrote to standard output.
func run(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", strings.Join(cmd.Args, " "), err, out, stderr.String())
	}
	return strings.TrimSpace(string(out))
}

// An image is the built one.
type image struct {
	buildah []string // the command
	root    string   // of a container
}

func (i *image) command(args ...string) *exec.Cmd {
	return exec.Command(i.buildah[0], append(i.buildah[1:len(i.buildah):len(i.buildah)], args...)...)
}

// in returns the image in a directory.
func in(t *testing.T, work string) *image {
	t.Helper()
	buildah, err := exec.LookPath("buildah")
	if err != nil {
		t.Fatal("not installed; run: apt-get install --no-install-recommends buildah")
	}
	return &image{buildah: []string{buildah, "--storage-driver", "vfs",
		"--root", filepath.Join(work, "storage"), "--runroot", filepath.Join(work, "run")}}
}

// build builds the image, as "make image" does, without a registry, and what the tests add.
func (i *image) build(t *testing.T, work string) {
	t.Helper()
	run(t, exec.Command("make", "-C", "../..", "image", "BUILDER="+strings.Join(i.buildah, " "), "IMAGEROOT="+filepath.Join(work, "root")))
	run(t, i.command("from", "--name", "container", "localhost/gatehouse"))
	orphan := exec.Command("go", "build", "-o", filepath.Join(work, "orphan"), "testdata/orphan.go")
	orphan.Env = append(os.Environ(), "CGO_ENABLED=0")
	run(t, orphan)
}

// furnish adds what a runtime mounts.
func (i *image) furnish(t *testing.T) {
	t.Helper()
	for _, dir := range []string{"proc", "dev"} {
		if err := os.MkdirAll(filepath.Join(i.root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	null := filepath.Join(i.root, "dev/null")
	if err := unix.Mknod(null, unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(null, 0o666); err != nil {
		t.Fatal(err)
	}
}

// inside is a command that runs in the image, as its user, as process 1 of a namespace.
func (i *image) inside(args ...string) *exec.Cmd {
	cmd := exec.Command("/usr/bin/unshare", append([]string{"--pid", "--fork", "--kill-child", "--mount", "--root=" + i.root, "--mount-proc",
		"--setuid=65532", "--setgid=65532"}, args...)...)
	cmd.Env = []string{}
	return cmd
}

// TestImage: the image holds what it is to hold, and gatehouse serves in it as process 1,
// without any rights: it drains on SIGTERM, and reaps what others leave behind.
func TestImage(t *testing.T) {
	work := os.Getenv(workVariable)
	if work == "" {
		work = t.TempDir()
		t.Setenv(workVariable, work)
		in(t, work).build(t, work)
	}
	if !testkit.Alone(t, &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS}) {
		return
	}
	// Nothing that is mounted here may be seen, or be in the way, outside.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatalf("make the mounts private: %v; run as root, and a container with --privileged", err)
	}
	run(t, exec.Command("/usr/sbin/ip", "link", "set", "lo", "up"))
	i := in(t, work)
	i.root = run(t, i.command("mount", "container"))
	t.Run("contents", i.testContents)
	t.Run("settings", i.testSettings)
	i.furnish(t)
	t.Run("messages", i.testMessages)
	t.Run("process 1", i.testProcess1)
}

// testContents: there is nothing but the static binary, its configuration, and /tmp.
func (i *image) testContents(t *testing.T) {
	var there []string
	// The root itself is the runtime's.
	if err := filepath.WalkDir(i.root, func(path string, d os.DirEntry, err error) error {
		if err != nil || path == i.root {
			return err
		}
		info, err := d.Info()
		if err == nil {
			there = append(there, fmt.Sprintf("%s %v", strings.TrimPrefix(path, i.root+"/"), info.Mode()))
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	want := []string{"etc drwxr-xr-x", "etc/gatehouse drwxr-xr-x", "etc/gatehouse/gatehouse.toml -rw-r--r--",
		"tmp dtrwxrwxrwx", "usr drwxr-xr-x", "usr/bin drwxr-xr-x", "usr/bin/gatehouse -rwxr-xr-x"}
	if !slices.Equal(there, want) {
		t.Errorf("the image holds %q, want %q", there, want)
	}
}

// testSettings: what the runtime reads in the image is there.
func (i *image) testSettings(t *testing.T) {
	var got struct {
		Docker struct {
			Config struct {
				User         string
				Entrypoint   []string
				Cmd          []string
				StopSignal   string
				ExposedPorts map[string]any
				Healthcheck  struct{ Test []string }
			} `json:"config"`
		}
	}
	if err := json.Unmarshal([]byte(run(t, i.command("inspect", "--type", "image", "localhost/gatehouse"))), &got); err != nil {
		t.Fatal(err)
	}
	c := got.Docker.Config
	if _, http := c.ExposedPorts["8080/tcp"]; c.User != "65532:65532" || c.StopSignal != "SIGTERM" || !http {
		t.Errorf("user %q, signal %q, ports %v", c.User, c.StopSignal, c.ExposedPorts)
	}
	if want := []string{"/usr/bin/gatehouse", "serve", "--config", "/etc/gatehouse/gatehouse.toml"}; !slices.Equal(slices.Concat(c.Entrypoint, c.Cmd), want) {
		t.Errorf("entry point %q %q, want %q", c.Entrypoint, c.Cmd, want)
	}
	if want := []string{"CMD", "/usr/bin/gatehouse", "request", "--http", "127.0.0.1:8080", "/ping"}; !slices.Equal(c.Healthcheck.Test, want) {
		t.Errorf("health check %q, want %q", c.Healthcheck.Test, want)
	}
}

// testMessages: what an image from scratch lacks is named, with what to do.
func (i *image) testMessages(t *testing.T) {
	write(t, filepath.Join(i.root, "cgi/a.sh"), "#!/bin/sh\n", 0o755)
	write(t, filepath.Join(i.root, "group.toml"), "fastcgi = \"unix:/tmp/sock,group=www-data\"\n", 0o644)
	write(t, filepath.Join(i.root, "user.toml"), "scripts = \"/cgi\"\nuser = \"www-data\"\n", 0o644)
	write(t, filepath.Join(i.root, "spool.toml"), "spool_dir = \"/var/spool/gatehouse\"\n", 0o644)
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"check", "--config", "/group.toml"}, `there is no group "www-data": create it, or write another one after group=`},
		{[]string{"check", "--config", "/user.toml"}, `user: there is no user "www-data": create it, or write another one`},
		{[]string{"check", "--config", "/spool.toml"}, "spool_dir: directory /var does not exist: create it, or write another one"},
		{[]string{"serve", "--http", "127.0.0.1:0", "--access-log", "/access.log"},
			"no file can be created in /: permission denied: let user 65532 write there, or choose another directory"},
		{[]string{"explain", "--app", "scripts:/cgi", "/a.sh"}, `its interpreter "/bin/sh" does not exist`},
	} {
		out, err := i.inside(append([]string{"/usr/bin/gatehouse"}, tt.args...)...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), tt.want) {
			t.Errorf("%q: %v\n%s\nwant %s", tt.args, err, out, tt.want)
		}
	}
}

// write writes a file that everybody may read.
func write(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

// testProcess1 runs the image as it is, and with a program.
func (i *image) testProcess1(t *testing.T) {
	orphan, err := os.ReadFile(filepath.Join(os.Getenv(workVariable), "orphan"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(i.root, "cgi/orphan"), string(orphan), 0o755)
	write(t, filepath.Join(i.root, "cgi.toml"), "http = \":8080\"\nping = \"/ping\"\nscripts = \"/cgi\"\n", 0o644)
	// A root that is only read, and a file system for /tmp.
	if err := unix.Mount(i.root, i.root, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("", i.root, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", filepath.Join(i.root, "tmp"), "tmpfs", unix.MS_NODEV|unix.MS_NOSUID, "mode=1777"); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, config string }{
		{"as it is", "/etc/gatehouse/gatehouse.toml"},
		{"with a program", "/cgi.toml"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var log testkit.Log
			cmd := i.inside("/usr/bin/gatehouse", "serve", "--config", tt.config)
			cmd.Stdout, cmd.Stderr = &log, &log
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			t.Cleanup(func() {
				cmd.Process.Kill()
				if t.Failed() {
					t.Logf("gatehouse:\n%s", log.String())
				}
			})
			testkit.Until(t, "gatehouse serves", func() bool {
				return exec.Command("/usr/bin/unshare", "--root="+i.root, "/usr/bin/gatehouse", "request", "--http", "127.0.0.1:8080", "/ping").Run() == nil
			})
			process1 := children(t, cmd.Process.Pid)
			if len(process1) != 1 {
				t.Fatalf("children of unshare: %v", process1)
			}
			if tt.name == "with a program" {
				out := run(t, exec.Command(filepath.Join(i.root, "usr/bin/gatehouse"), "request", "--http", "127.0.0.1:8080", "/orphan"))
				if out != "left behind" {
					t.Errorf("the program: %q", out)
				}
			}
			// Somebody's shell in the container, with a process in the background.
			run(t, exec.Command("/usr/bin/nsenter", "--target", strconv.Itoa(process1[0]), "--pid", "/bin/sh", "-c", "sleep 0.1 >/dev/null 2>&1 & exit"))
			testkit.Until(t, "no process but gatehouse", func() bool { return len(children(t, process1[0])) == 0 })

			if tt.name == "with a program" {
				// As a hook of the runtime does. It waits for the end, and ends with the container.
				hook := exec.Command("/usr/bin/nsenter", "--target", strconv.Itoa(process1[0]), "--pid", "--mount", "--root",
					"--setuid", "65532", "--setgid", "65532", "/usr/bin/gatehouse", "drain")
				if out, err := hook.CombinedOutput(); err == nil || len(out) > 0 {
					t.Errorf("gatehouse drain: %v, %q; want it killed, in silence", err, out)
				}
			} else if err := unix.Kill(process1[0], unix.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if err := testkit.Receive(t, "the end of gatehouse", ended); err != nil {
				t.Errorf("on SIGTERM: %v", err)
			}
			if !strings.Contains(log.String(), `"draining"`) {
				t.Error("it did not drain")
			}
		})
	}
}

// children returns the children of a process, zombies too.
func children(t *testing.T, pid int) (list []int) {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil || len(tasks) == 0 {
		t.Fatalf("no process %d: %v", pid, err)
	}
	for _, task := range tasks {
		text, err := os.ReadFile(task)
		if err != nil {
			continue // a thread that has ended
		}
		for _, field := range strings.Fields(string(text)) {
			n, err := strconv.Atoi(field)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, n)
		}
	}
	return list
}
