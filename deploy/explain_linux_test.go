package deploy_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"gatehouse/daemon"
	"gatehouse/fastcgi/record"
)

// TestExplainNoexec: what only a mount of its own can show: a program in a file system
// that is mounted noexec, and that the command to mend it does.
func TestExplainNoexec(t *testing.T) {
	const dir = "/srv/noexec"
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOEXEC, "mode=0755"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	writeProgram(t, dir+"/sub/a.cgi", "#!/bin/sh\n", 0o755)
	explain := func() (a daemon.Answer) {
		cmd := exec.Command(filepath.Join(workspace, "gatehouse"), "explain", "--app", "/=scripts:"+dir, "--user", "www-data", "--json", "/sub/a.cgi")
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if len(out) == 0 {
			t.Fatal(err)
		}
		if err := json.Unmarshal(out, &a); err != nil {
			t.Fatal(err)
		}
		if a.User != "user www-data" {
			t.Errorf("it was looked up by %s", a.User)
		}
		return a
	}
	want := dir + "/sub/a.cgi: its file system, mounted at " + dir + ", is mounted noexec: mount -o remount,exec " + dir + ", or put the program elsewhere"
	if a := explain(); a.Fault == nil || a.Fault.Line != want || a.Fault.Status != 403 {
		t.Errorf("%+v; want %q", a.Fault, want)
	}
	serve(t, "noexec", "--fastcgi", "unix:/run/noexec/fastcgi.sock", "--scgi", "unix:/run/noexec/scgi.sock", "--app", "/=scripts:"+dir)
	if got := askLike(t, "/run/noexec/fastcgi.sock", record.AppendPair(nil, "SCRIPT_NAME", "/sub/a.cgi"), ""); got["status"] != "403" {
		t.Errorf("served with %q; want 403", got)
	}
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT, ""); err != nil {
		t.Fatal(err)
	}
	if a := explain(); !a.Runs {
		t.Errorf("%+v after the remount", a.Fault)
	}
}
