//go:build unix

package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"gatehouse/internal/frontend"

	"golang.org/x/sys/unix"
)

func isInUse(err error) bool { return errors.Is(err, syscall.EADDRINUSE) }

// probeTime bounds the attempt to connect to an existing socket, and the wait for the
// lock of its directory.
const probeTime = 2 * time.Second

// listenUnix opens a unix socket. An existing socket is replaced only if connections to
// it are refused. The directory is locked meanwhile, so that if two processes start at
// once, the second finds the first.
func listenUnix(a Address) (net.Listener, error) {
	uid, gid, err := a.ids()
	if err != nil {
		return nil, err
	}
	dir := filepath.Dir(a.Path)
	if err := checkDirectory(dir); err != nil {
		return nil, fmt.Errorf("unix:%s: %w", a.Path, err)
	}
	defer lockDirectory(dir)()
	if err := removeStale(a.Path); err != nil {
		return nil, err
	}
	// Nobody may connect before the permissions are set, whatever the umask is. On Linux,
	// bind gives the file no more than the mode that the socket has before.
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { _ = unix.Fchmod(int(fd), 0o600) })
	}}
	l, err := config.Listen(context.Background(), "unix", a.Path)
	if err != nil {
		return nil, unixError(a.Path, err)
	}
	ul := l.(*net.UnixListener)
	ul.SetUnlinkOnClose(false)
	own, err := setOwnerAndMode(a, uid, gid)
	if err != nil {
		os.Remove(a.Path)
		ul.Close()
		return nil, err
	}
	return &unixListener{Listener: frontend.Own(ul), path: a.Path, own: own}, nil
}

// takeUnix returns the listener for a socket that a predecessor had opened, with the owner
// and the mode that it is to have by now.
func takeUnix(a Address, l *frontend.Listener) (net.Listener, error) {
	uid, gid, err := a.ids()
	var own fs.FileInfo
	if err == nil {
		own, err = setOwnerAndMode(a, uid, gid)
	}
	if err != nil {
		l.Close()
		return nil, err
	}
	return &unixListener{Listener: l, path: a.Path, own: own}, nil
}

func unixError(path string, err error) error {
	dir := filepath.Dir(path)
	switch {
	case isInUse(err):
		return errInUse(path)
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return fmt.Errorf("unix:%s: no permission to create a socket in %s: let %s write there, or choose another directory", path, dir, thisUser())
	case errors.Is(err, syscall.EROFS):
		return fmt.Errorf("unix:%s: %s is on a read-only file system: choose another directory", path, dir)
	}
	return fmt.Errorf("unix:%s: %w", path, cause(err))
}

func errInUse(path string) error {
	return fmt.Errorf("unix:%s is in use by another process: stop it, or choose another path", path)
}

// setOwnerAndMode sets the owner and then the mode of a new socket, and returns its
// file information.
func setOwnerAndMode(a Address, uid, gid int) (fs.FileInfo, error) {
	if uid >= 0 || gid >= 0 {
		if err := os.Lchown(a.Path, uid, gid); err != nil {
			return nil, a.ownerError(uid, gid, err)
		}
	}
	if err := os.Chmod(a.Path, a.Mode); err != nil {
		return nil, fmt.Errorf("unix:%s: its mode cannot be set: %w", a.Path, bare(err))
	}
	info, err := os.Lstat(a.Path)
	if err != nil {
		return nil, fmt.Errorf("unix:%s: %w", a.Path, bare(err))
	}
	return info, nil
}

// ownerError returns the error for an owner and group that cannot be set.
func (a Address) ownerError(uid, gid int, err error) error {
	switch {
	case !errors.Is(err, syscall.EPERM):
		return fmt.Errorf("unix:%s: its owner and group cannot be set: %w: choose others, or another directory", a.Path, bare(err))
	case uid >= 0 && uid != os.Geteuid():
		return fmt.Errorf("unix:%s: its owner cannot be set to %s by %s: start gatehouse as root or as that user, or remove owner=", a.Path, a.Owner, thisUser())
	}
	return fmt.Errorf("unix:%s: its group cannot be set to %s: add %s to that group, or start gatehouse as root", a.Path, a.Group, thisUser())
}

// checkUnix returns what is wrong with the path of a socket, and with its owner and
// group.
func (a Address) checkUnix() error {
	return errors.Join(a.checkPath(), a.checkOwner())
}

func (a Address) checkPath() error {
	dir := filepath.Dir(a.Path)
	if err := checkDirectory(dir); err != nil {
		return fmt.Errorf("unix:%s: %w", a.Path, err)
	}
	if err := mayCreate(dir); err != nil {
		return unixError(a.Path, err)
	}
	if info, err := os.Lstat(a.Path); err == nil && info.Mode().Type() != fs.ModeSocket {
		return errNoSocket(a.Path)
	}
	return nil
}

// checkOwner returns an error if there is no such user or group, or if this process may
// not set it: only root may set another user; other users may set the groups that they
// are in.
func (a Address) checkOwner() error {
	uid, gid, err := a.ids()
	if err != nil || mayChown() {
		return err
	}
	groups, err := os.Getgroups()
	if err != nil {
		return nil // Open will find out
	}
	if uid >= 0 && uid != os.Geteuid() || gid >= 0 && gid != os.Getegid() && !slices.Contains(groups, gid) {
		return a.ownerError(uid, gid, syscall.EPERM)
	}
	return nil
}

// ids resolves the owner and the group, -1 for none.
func (a Address) ids() (uid, gid int, err error) {
	uid, gid = -1, -1
	if a.Owner != "" {
		if uid, err = strconv.Atoi(a.Owner); err != nil || uid < 0 {
			u, err := user.Lookup(a.Owner)
			if err != nil {
				return 0, 0, fmt.Errorf("unix:%s: there is no user %q: create it, or write another one after owner=", a.Path, a.Owner)
			}
			uid, _ = strconv.Atoi(u.Uid)
		}
	}
	if a.Group != "" {
		if gid, err = strconv.Atoi(a.Group); err != nil || gid < 0 {
			g, err := user.LookupGroup(a.Group)
			if err != nil {
				return 0, 0, fmt.Errorf("unix:%s: there is no group %q: create it, or write another one after group=", a.Path, a.Group)
			}
			gid, _ = strconv.Atoi(g.Gid)
		}
	}
	return uid, gid, nil
}

// removeStale removes a socket that nobody listens on. On systems other than Linux, a
// socket with a full backlog looks the same.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("unix:%s: %w", path, bare(err))
	case info.Mode().Type() != fs.ModeSocket:
		return errNoSocket(path)
	}
	c, err := net.DialTimeout("unix", path, probeTime)
	switch {
	case err == nil:
		c.Close()
		return errInUse(path)
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case !errors.Is(err, syscall.ECONNREFUSED):
		// A full backlog, no permission, a socket of another type: somebody may be there.
		return fmt.Errorf("unix:%s exists and may be in use (%w): remove it if it is not, or choose another path", path, cause(err))
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return errLeftOver(path, info, err)
	}
	return nil
}

func errNoSocket(path string) error {
	return fmt.Errorf("unix:%s exists and is not a socket: remove it, or choose another path", path)
}

// errLeftOver returns the error for a socket that this process may not remove: that of
// another user in a sticky directory.
func errLeftOver(path string, info fs.FileInfo, err error) error {
	owner := "root"
	if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid != 0 {
		owner = userName(int(st.Uid)) + " or root"
	}
	return fmt.Errorf("unix:%s is left over from another process and cannot be removed: %w: remove it as %s, or choose another path", path, bare(err), owner)
}

// lockDirectory keeps other processes from opening sockets in dir in this way until
// unlock is called (flock). It continues without the lock if the directory cannot be read
// or locked, or stays locked for longer than probeTime: any user may lock a directory,
// and must not be able to block a daemon that way.
func lockDirectory(dir string) (unlock func()) {
	f, err := os.Open(dir)
	if err != nil {
		return func() {}
	}
	for end := time.Now().Add(probeTime); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err != unix.EWOULDBLOCK && err != unix.EINTR {
			break
		}
	}
	return func() { f.Close() }
}

// A unixListener removes its socket from the file system when it is closed, unless
// another process has replaced it, or shares it.
type unixListener struct {
	*frontend.Listener
	path string
	own  fs.FileInfo
	once sync.Once
	err  error
}

// Close removes the socket and then closes the listener: while the listener is open, its
// inode number is not reused.
func (l *unixListener) Close() error {
	l.once.Do(func() {
		if !l.Shared() {
			unlock := lockDirectory(filepath.Dir(l.path))
			if l.inPlace() {
				os.Remove(l.path)
			}
			unlock()
		}
		l.err = l.Listener.Close()
	})
	return l.err
}

// inPlace reports whether the socket is where it was opened.
func (l *unixListener) inPlace() bool {
	now, err := os.Lstat(l.path)
	return err == nil && os.SameFile(l.own, now)
}
