package packaging_test

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gatehouse/internal/machine"
)

const systemdDir = "../systemd/"

// TestExposure: the strict profile exposes little, by the measure of systemd.
func TestExposure(t *testing.T) {
	for _, unit := range []string{"gatehouse.service", "gatehouse@.service"} {
		out, err := exec.Command("systemd-analyze", "security", "--offline=true", "--no-pager", systemdDir+unit).CombinedOutput()
		m := regexp.MustCompile(`exposure level for \S+: ([0-9.]+)`).FindSubmatch(out)
		if err != nil || m == nil {
			t.Fatalf("systemd-analyze: %v\n%s", err, out)
		}
		if score, err := strconv.ParseFloat(string(m[1]), 64); err != nil || score > 2.0 {
			t.Errorf("%s has an exposure of %s; at most 2.0 is wanted", unit, m[1])
		}
	}
}

// TestInstancesAreAlike: an instance differs from gatehouse.service in nothing but names.
func TestInstancesAreAlike(t *testing.T) {
	settings := func(unit string) string {
		text, err := os.ReadFile(systemdDir + unit)
		if err != nil {
			t.Fatal(err)
		}
		_, text2, _ := strings.Cut(string(text), "[Service]")
		return text2
	}
	one, instance := settings("gatehouse.service"), settings("gatehouse@.service")
	names := strings.NewReplacer("/etc/gatehouse/gatehouse.toml", "/etc/gatehouse/%i.toml", "LogsDirectory=gatehouse\n", "LogsDirectory=gatehouse@%i\n")
	if names.Replace(one) != instance {
		t.Errorf("gatehouse.service has\n%s\ngatehouse@.service has\n%s", one, instance)
	}
}

// profile returns the settings of the strict profile, in order.
func profile(t *testing.T) (names []string) {
	t.Helper()
	text, err := os.ReadFile(systemdDir + "gatehouse.service")
	if err != nil {
		t.Fatal(err)
	}
	_, strict, found := strings.Cut(string(text), "# The strict profile.")
	if !found {
		t.Fatal("the unit has no strict profile")
	}
	for line := range strings.Lines(strict) {
		if name, _, ok := strings.Cut(line, "="); ok && !strings.HasPrefix(line, "#") && !slices.Contains(names, name) && name != "WantedBy" {
			names = append(names, name)
		}
	}
	return names
}

// TestProfilesAreDocumented: the documentation says what each setting of the strict profile
// stops.
func TestProfilesAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/systemd.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range profile(t) {
		if !strings.Contains(string(text), "| `"+name+"` |") {
			t.Errorf("docs/systemd.md does not say what %s stops", name)
		}
	}
}

// TestNothingOutlives: under the strict profile, without control groups of their own, what
// programs leave behind ends with the service, however that ends.
func TestNothingOutlives(t *testing.T) {
	t.Parallel()
	m := installed(t)
	m.Write("/etc/gatehouse/gatehouse.toml", "grace = \"1s\"\ndrain = \"1s\"\n"+m.Run("cat", "/etc/gatehouse/gatehouse.toml")+"\n", 0o644)
	// It ignores the signals of its group, and leaves that; and so does its child.
	m.Write("/usr/lib/cgi-bin/stays", "#!/bin/sh\ntrap '' TERM HUP INT\nsetsid sleep 1002 >/dev/null 2>&1 </dev/null &\nsetsid sleep 1003\n", 0o755)
	site(m, "/run/gatehouse/fastcgi.sock")
	for _, end := range []string{
		"systemctl stop gatehouse.socket gatehouse.service",
		"systemctl kill --kill-who=main --signal=KILL gatehouse.service",
		"systemctl kill --kill-who=main --signal=ABRT gatehouse.service",
	} {
		leavesNothing(t, m, end)
	}
}

// leavesNothing ends the service by a command while the program "stays" runs, and waits until that and
// its child have ended.
func leavesNothing(t *testing.T, m *machine.Machine, end string) {
	t.Helper()
	m.Run("systemctl", "start", "gatehouse.socket")
	client := m.Command("curl", "-sS", "-o", "/dev/null", "http://localhost/cgi-bin/stays")
	if err := client.Start(); err != nil {
		t.Fatal(err)
	}
	m.Until("a program runs", func() bool { return running(m, "sleep 1002") && running(m, "sleep 1003") })
	m.Shell(end)
	_ = client.Wait() // the response is cut off
	m.Until("nothing is left after "+end, func() bool { return !running(m, "sleep 100[23]") })
}

// probe is a program that tries what one profile stops and the other allows.
const probe = `#!/bin/sh
printf 'Content-Type: text/plain\n\n'
try() { if "$@" >/dev/null 2>&1; then echo "$1 $2"; fi; }
try cat /home/secret
try cat /proc/meminfo
try cat /tmp/shared
try cat /proc/1/comm
try touch /var/tmp2/file
try touch /usr/file
try unshare -U true
grep -q 'NoNewPrivs:.0' /proc/self/status && echo privileges
:
`

// TestProfiles: what the documentation says of both profiles holds for a program.
func TestProfiles(t *testing.T) { onEachInstalled(t, profiles) }

func profiles(t *testing.T, m *machine.Machine) {
	m.Write("/usr/lib/cgi-bin/probe", probe, 0o755)
	m.Write("/home/secret", "", 0o644)
	m.Write("/tmp/shared", "", 0o644)
	m.Shell("mkdir /var/tmp2; chmod 1777 /var/tmp2")
	site(m, "/run/gatehouse/fastcgi.sock")
	m.Run("systemctl", "enable", "--now", "gatehouse.socket")
	if got := get(m, "/cgi-bin/probe"); got != "" {
		t.Errorf("under the strict profile a program can\n%s", got)
	}
	// As compat.conf says.
	text, err := os.ReadFile(systemdDir + "compat.conf")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if command, ok := strings.CutPrefix(line, "#     "); ok {
			m.Shell(command)
		}
	}
	want := "cat /home/secret\ncat /proc/meminfo\ncat /tmp/shared\ncat /proc/1/comm\ntouch /var/tmp2/file\nunshare -U\nprivileges"
	if got := get(m, "/cgi-bin/probe"); got != want {
		t.Errorf("under the compat profile a program can\n%s\nwant\n%s", got, want)
	}
}
