package sandbox

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
)

// strict is what a service has under the strict profile, with systemd 252.
const strict = `85 51 0:75 / / ro,nosuid,relatime shared:1 - ext4 /dev/vda rw
87 85 0:78 / /run rw,nosuid,relatime shared:2 - tmpfs tmpfs rw,mode=755
89 85 0:79 / /tmp rw,nosuid,relatime shared:8 - tmpfs tmpfs rw
102 85 0:21 / /sys ro,nosuid,noexec,relatime shared:10 - sysfs sysfs rw
103 102 0:27 / /sys/fs/cgroup ro,nosuid,nodev,noexec shared:11 - cgroup2 cgroup2 rw
128 85 0:50 / /dev ro,nosuid,noexec shared:26 - tmpfs tmpfs rw,size=4096k,nr_inodes=65536,mode=755
97 85 0:78 /systemd/inaccessible/dir /home ro,nosuid,noexec,relatime shared:31 - tmpfs tmpfs rw,mode=755
86 85 0:51 / /proc rw,nosuid,nodev,noexec,relatime shared:32 - proc proc rw,hidepid=invisible,subset=pid
98 85 0:78 /systemd/inaccessible/dir /root ro,nosuid,noexec,relatime shared:33 - tmpfs tmpfs rw,mode=755
101 87 0:78 /systemd/inaccessible/dir /run/user ro,nosuid,noexec,relatime shared:7 - tmpfs tmpfs rw,mode=755
134 89 0:79 /systemd-private-dee7440dc6994c269fcdb5f04c71ba62-gatehouse.service-3hNEtE/tmp /tmp rw,nosuid,relatime shared:9 - tmpfs tmpfs rw
135 85 0:75 /var/log/gatehouse /var/log/gatehouse rw,nosuid,relatime shared:34 - ext4 /dev/vda rw
136 85 0:75 /var/tmp/systemd-private-dee7440dc6994c269fcdb5f04c71ba62-gatehouse.service-3RpFXD/tmp /var/tmp rw,nosuid,relatime shared:35 - ext4 /dev/vda rw
`

// lifted is what one has that lifts all but ProtectSystem=full, as the compat profile does, on a
// system with mounts of its own.
const lifted = `1 0 8:1 / / rw,relatime - ext4 /dev/sda1 rw
2 1 8:1 /etc /etc ro,relatime - ext4 /dev/sda1 rw
3 1 8:1 /usr /usr ro,relatime - ext4 /dev/sda1 rw
4 1 0:5 / /proc rw,relatime - proc proc rw,hidepid=invisible
5 1 0:6 / /tmp rw,noexec - tmpfs tmpfs rw
6 1 0:7 / /dev rw - tmpfs tmpfs rw
7 1 8:2 / /mnt/image ro,relatime - ext4 /dev/sdb1 ro
8 1 8:3 / /home rw,relatime - ext4 /dev/sdc1 rw
9 1 8:3 /me /mnt/with\040blank ro,relatime - ext4 /dev/sdc1 rw
10 1 8:1 /srv/app /srv/app rw,noexec - ext4 /dev/sda1 rw
`

const (
	status = "Name:\tgatehouse\nUid:\t997\t997\t997\t997\nNoNewPrivs:\t1\nSeccomp:\t2\n"
	free   = "Name:\tgatehouse\nUid:\t0\t0\t0\t0\nNoNewPrivs:\t0\nSeccomp:\t0\n"
	group  = "9:name=systemd:/system.slice/gatehouse.service\n8:pids:/x\n0::/system.slice/gatehouse.service\n"
)

// begins reports whether r is a reason that begins with want; none if that is "".
func begins(r *Reason, want string) bool {
	return (r == nil) == (want == "") && (r == nil || strings.HasPrefix(r.Detail, want+" of gatehouse.service "))
}

// TestHides: what is hidden has its setting, and what is only missing has none.
func TestHides(t *testing.T) {
	for _, c := range []struct {
		mounts, path string
		err          error
		want         string
	}{
		{strict, "/home/me/x", fs.ErrPermission, "ProtectHome=yes"},
		{strict, "/home", fs.ErrNotExist, "ProtectHome=yes"},
		{strict, "/run/user/0/x", fs.ErrPermission, "ProtectHome=yes"},
		{strict, "/homely/x", fs.ErrNotExist, ""},
		{strict, "/tmp/x", fs.ErrNotExist, "PrivateTmp=yes"},
		{strict, "/var/tmp/x", fs.ErrNotExist, "PrivateTmp=yes"},
		{strict, "/tmp/x", fs.ErrPermission, ""},
		{strict, "/dev/ttyS0", fs.ErrNotExist, "PrivateDevices=yes"},
		{strict, "/proc/meminfo", fs.ErrNotExist, "ProcSubset=pid"},
		{strict, "/usr/lib/cgi-bin/x", fs.ErrNotExist, ""},
		{strict, "/home/me/x", errors.New("something else"), ""},
		{lifted, "/home/me/x", fs.ErrNotExist, ""},
		{lifted, "/root/x", fs.ErrPermission, ""},
		{lifted, "/tmp/x", fs.ErrNotExist, ""},
		{lifted, "/dev/ttyS0", fs.ErrNotExist, ""},
		{lifted, "/proc/x", fs.ErrNotExist, ""},
		{lifted + "20 8 0:9 /systemd/inaccessible/dir /home ro - tmpfs tmpfs rw\n", "/home/x", fs.ErrPermission, "InaccessiblePaths="},
		{lifted + "20 8 0:9 / /home ro - tmpfs tmpfs rw\n21 1 0:9 / /root ro - tmpfs tmpfs rw\n", "/home/x", fs.ErrNotExist, "ProtectHome=tmpfs"},
		{lifted + "20 3 0:9 /systemd/inaccessible/dir /usr/lib/modules ro - tmpfs tmpfs rw\n", "/usr/lib/modules/x", fs.ErrPermission, "ProtectKernelModules=yes"},
	} {
		if r := Parse(c.mounts, status, group).Hides(c.path, c.err); !begins(r, c.want) {
			t.Errorf("%s, %v: %v; want %q", c.path, c.err, r, c.want)
		}
	}
}

// TestReadOnly: what the unit makes read-only has its setting, and a file system that is
// read-only itself, or that somebody else mounted so, has none.
func TestReadOnly(t *testing.T) {
	for _, c := range []struct{ mounts, path, want string }{
		{strict, "/srv/wiki/data", "ProtectSystem=strict"},
		{strict, "/usr/x", "ProtectSystem=strict"},
		{strict, "/var/log/gatehouse/x", ""},
		{strict, "/tmp/x", ""},
		{strict, "/sys/x", "ProtectKernelTunables=yes"},
		{strict, "/sys/fs/cgroup/x", "ProtectControlGroups=yes"},
		{lifted, "/usr/x", "ProtectSystem="},
		{lifted, "/etc/x", "ProtectSystem="},
		{lifted, "/srv/x", ""},
		{lifted, "/mnt/image/x", ""},
		{lifted, "/mnt/with blank/x", ""},
		{lifted + "20 1 8:1 /srv /srv ro - ext4 /dev/sda1 rw\n", "/srv/x", "ReadOnlyPaths= or ProtectHome=read-only"},
	} {
		if r := Parse(c.mounts, status, group).ReadOnly(c.path); !begins(r, c.want) {
			t.Errorf("%s: %v; want %q", c.path, r, c.want)
		}
	}
	if r := Parse(strict, status, group).ReadOnly("/srv/wiki/data"); !strings.Contains(r.Remedy, "ReadWritePaths=/srv/wiki ") {
		t.Errorf("the remedy is %q", r.Remedy)
	}
}

// TestNoExec: a bind mount of a directory on itself is the unit's.
func TestNoExec(t *testing.T) {
	for _, c := range []struct{ mounts, path, want string }{
		{lifted, "/srv/app/x.cgi", "NoExecPaths=/srv/app"},
		{lifted, "/tmp/x.cgi", ""},
		{lifted, "/srv/x.cgi", ""},
		{"1 0 8:1 / / rw,noexec - ext4 /dev/sda1 rw\n", "/srv/x.cgi", "NoExecPaths=/"},
	} {
		if r := Parse(c.mounts, status, group).NoExec(c.path); !begins(r, c.want) {
			t.Errorf("%s: %v; want %q", c.path, r, c.want)
		}
	}
}

// TestSaid: what a program says has the setting behind it, and no other.
func TestSaid(t *testing.T) {
	s := Parse(strict, status, group)
	s.families = true
	other := Parse(lifted, free, group)
	for line, want := range map[string]string{
		"/srv/x.cgi: 3: cannot create /srv/data/file: Read-only file system":    "ProtectSystem=strict",
		"touch: cannot touch 'file': Read-only file system":                     "ProtectSystem=strict",
		"OSError: [Errno 30] Read-only file system: '/srv/data/file'":           "ProtectSystem=strict",
		"cat: /home/me/.netrc: Permission denied":                               "ProtectHome=yes",
		"PermissionError: [Errno 13] Permission denied: '/home/me/x'":           "ProtectHome=yes",
		"cat: /srv/x: Permission denied":                                        "",
		"open(/tmp/shared): No such file or directory":                          "PrivateTmp=yes",
		"open(lib/home/x): No such file or directory":                           "",
		"sudo: effective uid is not 0, is /usr/bin/sudo on a file system …":     "NoNewPrivileges=yes",
		`sudo: The "no new privileges" flag is set, which prevents sudo from …`: "NoNewPrivileges=yes",
		"socket: Address family not supported by protocol":                      "RestrictAddressFamilies=",
		"Error: /proc must be mounted":                                          "ProcSubset=pid",
		"chown: changing ownership of 'x': Operation not permitted":             "",
		"Can't open perl script \"/usr/lib/none\": No such file or directory":   "",
	} {
		if r := s.Said(line); !begins(r, want) {
			t.Errorf("%s: %v; want %q", line, r, want)
		}
		if r := other.Said(line); r != nil {
			t.Errorf("%s: %v, though the unit has nothing to do with it", line, r)
		}
	}
	if r := s.Said("/srv/x.cgi: 3: cannot create /srv/data/file: Read-only file system"); !strings.Contains(r.Remedy, "ReadWritePaths=/srv/data ") {
		t.Errorf("the remedy is %q", r.Remedy)
	}
}

func TestEnded(t *testing.T) {
	s := Parse(strict, status, group)
	s.denyWriteExec = true
	for signal, want := range map[string]string{
		"bad system call":    "SystemCallFilter= or, for a 32-bit program, SystemCallArchitectures=",
		"segmentation fault": "MemoryDenyWriteExecute=yes",
		"killed":             "",
	} {
		if r := s.Ended(signal); !begins(r, want) {
			t.Errorf("%s: %v; want %q", signal, r, want)
		}
		if r := Parse(lifted, free, group).Ended(signal); r != nil {
			t.Errorf("%s: %v, though the unit has nothing to do with it", signal, r)
		}
	}
}

func TestIgnoresID(t *testing.T) {
	s := Parse(strict, status, group)
	for _, mode := range []fs.FileMode{fs.ModeSetuid | 0o755, fs.ModeSetgid | 0o755} {
		if r := s.IgnoresID(mode); !begins(r, "NoNewPrivileges=yes") {
			t.Errorf("%v: %v", mode, r)
		}
		if r := Parse(strict, free, group).IgnoresID(mode); r != nil {
			t.Errorf("%v: %v, though it is not ignored", mode, r)
		}
	}
	if r := s.IgnoresID(0o755); r != nil {
		t.Errorf("an ordinary program: %v", r)
	}
}

// TestNone: without a sandbox there is no reason.
func TestNone(t *testing.T) {
	var s *Sandbox
	if s.Hides("/home/x", fs.ErrNotExist) != nil || s.ReadOnly("/x") != nil || s.NoExec("/x") != nil ||
		s.IgnoresID(fs.ModeSetuid) != nil || s.Said("Read-only file system") != nil || s.Ended("bad system call") != nil {
		t.Error("a sandbox that is none has a reason")
	}
}

func TestUnitOf(t *testing.T) {
	for groups, want := range map[string]string{
		group: "gatehouse.service",
		"0::/system.slice/system-gatehouse.slice/gatehouse@git.service\n": "gatehouse@git.service",
		"0::/system.slice/gatehouse.service/daemon\n":                     "gatehouse.service",
		"0::/user.slice/user-0.slice/session-1.scope\n":                   "",
		"0::/user.slice/user-0.slice/user@0.service/app.slice/x.scope\n":  "",
		"0::/\n": "",
		"9:pids:/system.slice/x.service\n0::/a\n": "",
		"":       "",
		"broken": "",
	} {
		if got := unitOf(groups); got != want {
			t.Errorf("%q is %q; want %q", groups, got, want)
		}
	}
	if user := Parse(strict, status, group).User(); user != "997" {
		t.Errorf("the user is %q", user)
	}
}

func TestPaths(t *testing.T) {
	for line, want := range map[string][]string{
		"":                         nil,
		"/":                        {"/"},
		"a/b /c/d e":               {"/c/d"},
		"'/a/b': (/c//d) \"/e/\"":  {"/a/b", "/c/d", "/e"},
		"/1 /2 /3 /4 /5":           {"/1", "/2", "/3", "/4"},
		"open:/a=/b":               {"/a", "/b"},
		"relative/path/alone":      nil,
		strings.Repeat("x/", 1000): nil,
	} {
		if got := slices.Collect(paths(line)); !slices.Equal(got, want) {
			t.Errorf("%q has the paths %q; want %q", line, got, want)
		}
	}
}
