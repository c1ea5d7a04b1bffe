package sandbox

import (
	"path"
	"strings"
)

// Parse returns the sandbox of a process by what /proc/PID/mountinfo, status and cgroup say.
func Parse(mountinfo, status, cgroup string) *Sandbox {
	_, user, _ := strings.Cut(status, "\nUid:\t")
	user, _, _ = strings.Cut(user, "\t")
	return &Sandbox{
		unit:            unitOf(cgroup),
		user:            user,
		mounts:          parseMounts(mountinfo),
		noNewPrivileges: strings.Contains(status, "\nNoNewPrivs:\t1\n"),
		seccomp:         strings.Contains(status, "\nSeccomp:\t2\n"),
	}
}

// unitOf returns the service that a process is in, by /proc/PID/cgroup. One in a session of a
// user is in none.
func unitOf(groups string) string {
	for line := range strings.Lines(groups) {
		// Version 2 has "0::PATH"; beside version 1, systemd has a hierarchy of its own.
		_, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		controllers, name, _ := strings.Cut(name, ":")
		if controllers != "" && controllers != "name=systemd" {
			continue
		}
		for ; len(name) > 1; name = path.Dir(name) {
			switch path.Ext(name) {
			case ".service":
				return path.Base(name)
			case ".scope", ".slice":
				name = "/"
			}
		}
	}
	return ""
}
