package packaging_test

import (
	"os"
	"strings"
	"testing"
)

// TestGit: the commands in git.toml make an instance, in the sandbox, that serves clone and
// push to the repositories of user git.
func TestGit(t *testing.T) {
	t.Parallel()
	m := installed(t)
	config, err := os.ReadFile("git.toml")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(config)) {
		if command, ok := strings.CutPrefix(line, "#     "); ok {
			m.Shell(command)
		}
	}
	front, err := os.ReadFile("../nginx/git.conf")
	if err != nil {
		t.Fatal(err)
	}
	m.Write("/etc/nginx/sites-enabled/default", string(front), 0o644)
	m.Run("systemctl", "restart", "nginx")
	m.Shell(`runuser -u git -- git init -q --bare -b main /srv/git/project.git
		runuser -u git -- git -C /srv/git/project.git config http.receivepack true
		git config --global user.name Somebody; git config --global user.email somebody@example.org
		git clone -q http://localhost/git/project.git /root/work
		cd /root/work; git checkout -q -b main; echo hello >file; git add file; git commit -qm first; git push -q origin main
		git clone -q http://localhost/git/project.git /root/again; cmp /root/work/file /root/again/file`)
	if owner := m.Run("stat", "-c", "%U", "/srv/git/project.git/refs/heads/main"); owner != "git" {
		t.Errorf("what was pushed belongs to %s", owner)
	}
}
