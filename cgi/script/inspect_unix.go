//go:build unix

package script

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// mayExecute asks the kernel whether this process may execute a file, or search a
// directory: it knows of groups, capabilities and access lists.
func mayExecute(path string) error {
	return unix.Faccessat(unix.AT_FDCWD, path, unix.X_OK, unix.AT_EACCESS)
}

// inspectAccess returns why this user cannot reach a file, or not execute it, or nil.
func inspectAccess(path string) *Finding {
	realPath, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrPermission) {
		return lookupFinding(path, err)
	}
	if err != nil || mayExecute(realPath) == nil {
		return nil
	}
	f := &Finding{Check: CheckExecute, Path: realPath, Code: http.StatusForbidden}
	info, err := os.Stat(realPath)
	switch {
	case err != nil:
		return nil
	case info.Mode().IsRegular() && info.Mode()&0o111 == 0:
		f.Check, f.Detail, f.Remedy = CheckMode, errMode.Error(), "chmod +x "+realPath
	case isNoexec(realPath):
		at := mountPoint(realPath)
		f.Check = CheckNoexec
		f.Detail = fmt.Sprintf("its file system, mounted at %s, is mounted noexec", at)
		f.Remedy = "mount -o remount,exec " + at + ", or put the program elsewhere"
	default:
		class, owner := access(info)
		if info.Mode()&class.bit != 0 {
			return nil // the modes allow it: an access list, or a security module
		}
		f.Detail = fmt.Sprintf("%s may not execute it (mode %04o, owner %s)", thisUser(), info.Mode().Perm(), owner)
		f.Remedy = fmt.Sprintf("chmod %s+x %s", class.name, realPath)
	}
	return f
}

// whyUnsearchable tells which directory on the way to path this user may not search.
// The error came with the attempt.
func whyUnsearchable(path string, err error) (detail, remedy string) {
	_, resolved := filepath.EvalSymlinks(path)
	var pe *fs.PathError
	if !errors.As(resolved, &pe) || !errors.Is(pe.Err, fs.ErrPermission) {
		return err.Error(), ""
	}
	dir := filepath.Dir(pe.Path)
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Sprintf("%s may not search %s", thisUser(), dir), "chmod +x " + dir
	}
	class, owner := access(info)
	detail = fmt.Sprintf("%s may not search the directory %s (mode %04o, owner %s)", thisUser(), dir, info.Mode().Perm(), owner)
	if info.Mode()&class.bit != 0 {
		return detail, "look at its access list (getfacl), and at the log of SELinux or AppArmor"
	}
	return detail, fmt.Sprintf("chmod %s+x %s", class.name, dir)
}

// inspectDir returns why a program cannot be started in dir, or nil.
func inspectDir(dir string) *Finding {
	if dir == "" {
		return nil
	}
	info, err := os.Stat(dir)
	f := &Finding{Check: CheckDir, Path: dir, Code: http.StatusForbidden, Err: err}
	switch {
	case errors.Is(err, fs.ErrPermission):
		f.Detail, f.Remedy = whyUnsearchable(dir, err)
	case err != nil:
		f.Detail, f.Remedy = "the directory that the program starts in does not exist", "create it"
	case !info.IsDir():
		f.Detail = "the program is to start in it, and it is no directory"
	case mayExecute(dir) != nil:
		f.Check = CheckSearch
		class, owner := access(info)
		f.Detail = fmt.Sprintf("%s may not search it (mode %04o, owner %s)", thisUser(), info.Mode().Perm(), owner)
		f.Remedy = fmt.Sprintf("chmod %s+x %s", class.name, dir)
	default:
		return nil
	}
	return f
}

// A class is whose bits of a mode hold for this user.
type class struct {
	name string // as chmod has it
	bit  fs.FileMode
}

// access returns the class of this user for a file, and who owns it, as "root:root".
func access(info fs.FileInfo) (class, string) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return class{"o", 0o001}, "unknown"
	}
	owner := userName(int(st.Uid)) + ":" + groupName(int(st.Gid))
	if int(st.Uid) == os.Geteuid() {
		return class{"u", 0o100}, owner
	}
	groups, _ := os.Getgroups()
	if int(st.Gid) == os.Getegid() || slices.Contains(groups, int(st.Gid)) {
		return class{"g", 0o010}, owner
	}
	return class{"o", 0o001}, owner
}

func thisUser() string { return "user " + userName(os.Geteuid()) }

func userName(uid int) string {
	id := strconv.Itoa(uid)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return id
}

func groupName(gid int) string {
	id := strconv.Itoa(gid)
	if g, err := user.LookupGroupId(id); err == nil {
		return g.Name
	}
	return id
}
