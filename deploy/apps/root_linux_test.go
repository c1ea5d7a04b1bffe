package apps_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// basePackages are in the root of every application, beside the essential ones of Debian.
const basePackages = "nginx-light,fcgiwrap,ca-certificates,procps"

// installing changes to the root $1 with the layer $2 on it, and installs the packages that
// follow. Their services do not start, and nobody is asked anything.
const installing = `
mount --make-rprivate /
mkdir -p "$2/root"
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/root"
cd "$2/root"
mount -t proc proc proc
mount --rbind /dev dev
mount -t tmpfs -o mode=1777 tmpfs tmp
cp /etc/resolv.conf etc/resolv.conf
printf '#!/bin/sh\nexit 101\n' >usr/sbin/policy-rc.d
chmod +x usr/sbin/policy-rc.d
shift 2
exec chroot . env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
	apt-get install -y -qq --no-install-recommends -o Dpkg::Options::=--force-unsafe-io "$@"`

// layers returns the layers of the root of an application, as the option lowerdir of overlayfs
// has them. What is not there yet is made.
func layers(t *testing.T, a *application) string {
	t.Helper()
	dir := os.Getenv(rootsVariable)
	base := filepath.Join(dir, "base")
	made(t, base, basePackages, func() error {
		// What it mounts is in a namespace of its own: nobody who removes the directory meets it.
		return command("unshare", "--mount", "mmdebstrap", "--quiet", "--variant=minbase", "--skip=cleanup/apt",
			"--include="+basePackages, "--dpkgopt=force-unsafe-io", "bookworm", base)
	})
	layer := filepath.Join(dir, strings.ReplaceAll(a.packages, " ", "+"))
	made(t, layer, a.packages, func() error {
		for _, sub := range []string{"upper", "work"} {
			if err := os.MkdirAll(filepath.Join(layer, sub), 0o755); err != nil {
				return err
			}
		}
		return command("unshare", append([]string{"--mount", "--pid", "--fork", "sh", "-ec", installing, "sh", base, layer}, strings.Fields(a.packages)...)...)
	})
	return filepath.Join(layer, "upper") + ":" + base
}

// made makes a directory that holds these packages, unless it is there. Others that want the
// same wait.
func made(t *testing.T, dir, packages string, create func() error) {
	t.Helper()
	lock, err := os.Create(dir + ".lock")
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	done := dir + ".done"
	if text, err := os.ReadFile(done); err == nil && string(text) == packages {
		return
	}
	for _, stale := range []string{done, dir} {
		if err := os.RemoveAll(stale); err != nil {
			t.Fatal(err)
		}
	}
	if err := create(); err != nil {
		t.Fatalf("install %s: %v; it needs root, the package mmdebstrap, and a mirror of Debian", packages, err)
	}
	if err := os.WriteFile(done, []byte(packages), 0o644); err != nil {
		t.Fatal(err)
	}
}

// command runs a program; what it prints is part of the error.
func command(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		return fmt.Errorf("%s: %w\n%s", name, err, strings.Join(lines[max(0, len(lines)-30):], "\n"))
	}
	return nil
}

// inside is where an application has the workspace.
const inside = "/opt/gatehouse"

// The variables that tell the test binary to enter the root of an application: the way of the
// visit, which is also the name of a directory in the workspace, the layers of the root, and the
// workspace outside.
const (
	wayVariable       = "GATEHOUSE_APPS_WAY"
	layersVariable    = "GATEHOUSE_APPS_LAYERS"
	workspaceVariable = "GATEHOUSE_APPS_WORKSPACE"
)

// wayIn returns the way of the visit that this process is, or nothing.
func wayIn() string { return os.Getenv(wayVariable) }

// enter makes the root of the application this process's, with a file system in memory for what
// it changes. The process has namespaces of its own.
func enter() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make the mounts private: %w", err)
	}
	dir := filepath.Join(os.Getenv(workspaceVariable), wayIn())
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NODEV, "mode=0755"); err != nil {
		return fmt.Errorf("mount a tmpfs: %w", err)
	}
	for _, sub := range []string{"upper", "work", "root"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			return err
		}
	}
	root := filepath.Join(dir, "root")
	options := "lowerdir=" + os.Getenv(layersVariable) + ",upperdir=" + dir + "/upper,workdir=" + dir + "/work"
	if err := unix.Mount("overlay", root, "overlay", 0, options); err != nil {
		return fmt.Errorf("mount the layers %s: %w", os.Getenv(layersVariable), err)
	}
	if err := os.MkdirAll(root+inside, 0o755); err != nil {
		return err
	}
	for _, m := range []struct {
		source, target, kind string
		flags                uintptr
		data                 string
	}{
		{"proc", "/proc", "proc", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""},
		{"/dev", "/dev", "", unix.MS_BIND | unix.MS_REC, ""},
		{"tmpfs", "/dev/shm", "tmpfs", 0, "mode=1777"},
		{"tmpfs", "/tmp", "tmpfs", 0, "mode=1777"},
		{os.Getenv(workspaceVariable), inside, "", unix.MS_BIND, ""},
	} {
		if err := unix.Mount(m.source, root+m.target, m.kind, m.flags, m.data); err != nil {
			return fmt.Errorf("mount %s: %w", m.target, err)
		}
	}
	if err := unix.Sethostname([]byte("debian")); err != nil {
		return err
	}
	if err := unix.Chroot(root); err != nil {
		return err
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	workspace = inside
	for path, text := range map[string]string{
		"/etc/hosts":       "127.0.0.1 localhost debian\n",
		"/etc/hostname":    "debian\n",
		"/etc/resolv.conf": "",
	} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return raiseLoopback()
}

func raiseLoopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request); err != nil {
		return fmt.Errorf("bring the loopback interface up: %w", err)
	}
	return nil
}
