package script

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"gatehouse/cgi"
	"gatehouse/cgi/process"
	"gatehouse/internal/testkit"
)

func TestResources(t *testing.T) {
	f := newFixture(t)
	f.Limits.AddressSpace = 300 << 20
	f.Limits.OpenFiles = 40
	f.Limits.FileBytes = 4096
	f.Limits.Processes = 1000
	f.Confinement.NoCore = true
	f.Confinement.Nice = 7
	f.sh(t, "limits", head+"cat /proc/self/limits\nnice")
	s, res := f.serve(request("/limits"))
	if res.Err != nil {
		t.Fatal(res.Err)
	}
	lines := strings.Split(strings.TrimSpace(s.Body.String()), "\n")
	if last := lines[len(lines)-1]; last != "7" {
		t.Errorf("nice %s; want 7", last)
	}
	for _, want := range []string{"Max address space 314572800 314572800", "Max open files 40 40", "Max file size 4096 4096",
		"Max processes 1000 1000", "Max core file size 0 0"} {
		if !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(strings.Join(strings.Fields(l), " "), want) }) {
			t.Errorf("no %q in\n%s", want, s.Body.String())
		}
	}
	// What they are for.
	for name, text := range map[string]string{
		"file":    "head -c 8192 /dev/zero >big 2>/dev/null; wc -c <big",
		"open":    "for i in 1 2 3 4; do eval \"exec $((i+5))<&1\"; done; (ulimit -n 100) 2>/dev/null && echo raised; echo 4096",
		"address": "python3 -c 'x = bytearray(1 << 30)' 2>/dev/null && echo much; echo 4096",
	} {
		f.sh(t, name, head+text)
		s, res := f.serve(request("/" + name))
		if os.Geteuid() == 0 && name == "open" {
			continue // root may raise its limits
		}
		checkOK(t, s, res, "4096\n")
	}
}

// TestResourcesOfAnotherUser runs in a user namespace, where root can limit what others
// run, also if it cannot outside.
func TestResourcesOfAnotherUser(t *testing.T) {
	needRoot(t)
	ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 65536}}
	if !testkit.Alone(t, &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER, UidMappings: ids, GidMappings: ids, GidMappingsEnableSetgroups: true}) {
		return
	}
	for _, owner := range []bool{false, true} {
		f := newFixture(t)
		f.open(t)
		account := lookupAccount(t, "nobody")
		f.RunAs.User = "nobody"
		f.Limits.OpenFiles, f.Limits.Processes = 50, 500
		f.Confinement.Nice = 3
		path := f.sh(t, "home/limits", head+"cat /proc/self/limits\nid -u\nnice")
		if owner {
			f.RunAs = process.RunAs{Owner: true}
			for _, x := range []string{path, filepath.Dir(path)} {
				if err := os.Chown(x, account.uid, account.gid); err != nil {
					t.Fatal(err)
				}
			}
		}
		s, res := f.serve(request("/home/limits"))
		text := strings.Join(strings.Fields(s.Body.String()), " ")
		for _, want := range []string{"Max open files 50 50", "Max processes 500 500", strconv.Itoa(account.uid) + " 3"} {
			if res.Err != nil || !strings.Contains(text, want) {
				t.Errorf("owner %v: %v, no %q in\n%s", owner, res.Err, want, text)
			}
		}
		f.Close()
	}
}

// TestStartsThatFail: the answers are those of programs that are not confined, and
// nothing is left.
func TestStartsThatFail(t *testing.T) {
	f := newFixture(t)
	f.Limits.OpenFiles = 100
	f.Confinement.Umask, f.Confinement.CheckMode = 0o077, true
	f.write(t, "nointerpreter", "#!/nonexistent/perl -w\n", 0o755)
	f.write(t, "noshebang", "echo hello\n", 0o755)
	f.sh(t, "ok", head+"echo ok")
	f.serve(request("/ok")) // makes the threads
	before := testkit.Descriptors(t)
	for range 20 {
		_, res := f.serve(request("/nointerpreter"))
		checkRefused(t, res, 502, `interpreter "/nonexistent/perl -w" does not exist`)
		_, res = f.serve(request("/noshebang"))
		checkRefused(t, res, 502, `no "#!" line`)
		_, res = f.serve(request("/ok", "HTTP_X_LONG="+strings.Repeat("x", 200<<10)))
		checkRefused(t, res, 431, "too long")
		s, res := f.serve(request("/ok"))
		checkOK(t, s, res, "ok\n")
	}
	f.Close()
	if after := testkit.Descriptors(t); after > before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

func TestCPULimit(t *testing.T) {
	for name, script := range map[string]string{
		"itself":     "while :; do :; done",
		"a child":    "(while :; do :; done) & wait",
		"many":       "while :; do (i=0; while [ $i -lt 1000 ]; do i=$((i+1)); done); done",
		"left group": "setsid sh -c 'while :; do :; done' & wait",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			f.Limits.CPU = time.Second
			f.sh(t, "busy", "echo $$ >pgid\n"+script)
			_, res := f.serve(request("/busy"))
			checkRefused(t, res, 504, f.dir+"/busy", "cpu of 1s is over")
			f.Close()
			checkNoGroup(t, filepath.Join(f.dir, "pgid"))
		})
	}
	t.Parallel()
	f := newFixture(t)
	f.Limits.CPU = time.Second
	f.sh(t, "busy", head+"echo part\nwhile :; do :; done")
	if _, res := f.serve(request("/busy")); res.Code != 200 || res.End != cgi.Truncated || !strings.Contains(fmt.Sprint(res.Err), "cpu of 1s") {
		t.Errorf("%d, %v, %v; want a truncation", res.Code, res.End, res.Err)
	}
	f.sh(t, "idle", head+"sleep 1.2\necho rested")
	s, res := f.serve(request("/idle"))
	checkOK(t, s, res, "rested\n")
}
