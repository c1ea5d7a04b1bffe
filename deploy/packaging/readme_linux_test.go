package packaging_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/machine"
	"gatehouse/internal/testkit"
)

// TestReadme follows the README to the letter, on a Debian with nginx and git: its commands
// and its configurations, in their order, and again after a reboot.
func TestReadme(t *testing.T) { onEach(t, followReadme) }

func followReadme(t *testing.T, m *machine.Machine) {
	m.Copy(built(t, "gatehouse", ".deb"), "/root/gatehouse/bin")
	output := make(map[string]string) // of the commands, by section
	for _, b := range testkit.CodeBlocks(t, "../../README.md") {
		if b.Section != "Install it, with nginx" && b.Section != "Serve git" {
			continue
		}
		switch b.Language {
		case "", "sh":
			// The package is there: make deb-test has built it.
			output[b.Section] += follow(m, strings.TrimPrefix(b.Text, "make deb\n"))
		case "toml":
			if config := m.Run("cat", "/etc/gatehouse/gatehouse.toml"); !strings.Contains(config+"\n", b.Text) {
				t.Errorf("the configuration is\n%s\nthe README says\n%s", config, b.Text)
			}
		case "nginx":
			edit(t, m, "\n\tserver_name _;\n", "\n\tserver_name _;\n\n"+b.Text)
		default:
			t.Errorf("nobody follows a block of %s in section %s", b.Language, b.Section)
		}
	}
	const hello = "hello from user gatehouse"
	if got := output["Install it, with nginx"]; !strings.HasSuffix(got, hello) {
		t.Errorf("the program says %q", got)
	}
	if got := output["Serve git"]; !strings.Contains(got, "Cloning into 'project'") {
		t.Errorf("git says %q", got)
	}
	m.Run("gatehouse", "check")
	if got := m.Run("gatehouse", "explain", "--unit", "gatehouse.service", "http://localhost/cgi-bin/hello"); !strings.Contains(got, "it would run as user gatehouse") {
		t.Errorf("explain says\n%s", got)
	}
	m.Run("curl", "-s", "http://localhost/cgi-bin/missing")
	m.Until("the journal says why a request failed", func() bool {
		return strings.Contains(m.Journal("gatehouse"), "/usr/lib/cgi-bin/missing: no such file")
	})

	m.Shell(`git config --global user.name Somebody; git config --global user.email somebody@example.org
		cd /root/gatehouse/project; echo hello >file; git add file; git commit -qm first`)
	push := []string{"git", "-C", "/root/gatehouse/project", "push", "http://alice:secret@localhost/git/project.git", "HEAD"}
	if out := m.Fails(push[0], push[1:]...); !strings.Contains(out, "403") {
		t.Errorf("a push of anyone says %s", out)
	}
	letUsersPush(t, m)
	m.Fails("git", "ls-remote", "http://alice:wrong@localhost/git/project.git")
	m.Run(push[0], push[1:]...)

	// "scripts may also be one program".
	m.Shell(`cp /etc/gatehouse/gatehouse.toml /root; sed -i 's|^scripts = .*|scripts = "/usr/lib/cgi-bin/hello"|' /etc/gatehouse/gatehouse.toml; systemctl reload gatehouse`)
	if got := get(m, "/cgi-bin/any/path"); got != hello {
		t.Errorf("as the only program, it says %q", got)
	}
	m.Shell(`cp /root/gatehouse.toml /etc/gatehouse/gatehouse.toml; systemctl reload gatehouse`)

	m.Run("sync")
	m.Reboot()
	if got := get(m, "/cgi-bin/hello"); got != hello {
		t.Errorf("after a reboot, the program says %q", got)
	}
	m.Shell(`cd /root/gatehouse/project; echo again >file; git commit -qam second`)
	m.Run(push[0], push[1:]...)
	m.Shell(`git clone -q http://alice:secret@localhost/git/project.git /root/again; cmp /root/again/file /root/gatehouse/project/file`)
	if owner := m.Run("stat", "-c", "%U", "/srv/git/project.git/refs/heads/master"); owner != "git" {
		t.Errorf("what was pushed belongs to %s", owner)
	}
}

// reload is the command with which the README makes nginx use what was pasted.
const reload = "systemctl reload nginx\n"

// follow runs commands of the README, and returns what they print. Whoever types them is not
// as fast as the workers that nginx replaces after a reload.
func follow(m *machine.Machine, commands string) string {
	before, after, reloads := strings.Cut(commands, reload)
	out := m.Shell("cd /root/gatehouse\n" + before)
	if reloads {
		out += reloadNginx(m) + m.Shell("cd /root/gatehouse\n"+after)
	}
	return out
}

// reloadNginx reloads nginx, and waits until its old workers have ended.
func reloadNginx(m *machine.Machine) string {
	const list = `cat /proc/$(cat /run/nginx.pid)/task/*/children`
	old := strings.Fields(m.Shell(list))
	out := m.Shell(reload)
	m.Until("nginx has new workers", func() bool {
		workers := strings.Fields(m.Shell(list))
		return len(workers) > 0 && !slices.ContainsFunc(workers, func(pid string) bool { return slices.Contains(old, pid) })
	})
	return out
}

// edit replaces a text, which is there once, in the site of nginx.
func edit(t *testing.T, m *machine.Machine, old, new string) {
	t.Helper()
	const site = "/etc/nginx/sites-available/default"
	text := m.Run("cat", site) + "\n"
	if n := strings.Count(text, old); n != 1 {
		t.Fatalf("%s has %q %d times", site, old, n)
	}
	m.Write(site, strings.Replace(text, old, new, 1), 0o644)
}

// letUsersPush does what the README says of that, for the user alice.
func letUsersPush(t *testing.T, m *machine.Machine) {
	t.Helper()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	lines := regexp.MustCompile("`(auth_basic .*;)`").FindSubmatch(readme)
	if lines == nil {
		t.Fatal("the README does not say how users may push")
	}
	edit(t, m, "\tfastcgi_param REMOTE_USER \"\";\n", string(lines[1])+"\n")
	m.Write("/etc/nginx/git.htpasswd", "alice:{PLAIN}secret\n", 0o644)
	reloadNginx(m)
}
