//go:build unix

package daemon

import (
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"gatehouse/cgi/process"
)

// An otherUser is a user that this process is not. What that user may do follows from the owners,
// groups and modes of files; access lists and root's capabilities are not considered.
type otherUser struct {
	account
	groups []int
}

// findOther returns a user, by name or number. A group, if one is named, is another one of the user.
func findOther(name, group string) (otherUser, error) {
	a, err := lookupUser(name)
	if err != nil {
		return otherUser{}, err
	}
	u := otherUser{account: a, groups: []int{a.gid}}
	ids, err := a.GroupIds()
	if err != nil {
		return u, fmt.Errorf("user %q: %w", name, err)
	}
	for _, id := range ids {
		if g, err := strconv.Atoi(id); err == nil {
			u.groups = append(u.groups, g)
		}
	}
	if g, err := user.LookupGroup(group); err == nil {
		if n, err := strconv.Atoi(g.Gid); err == nil {
			u.groups = append(u.groups, n)
		}
	}
	return u, nil
}

// search returns an error that names the highest directory on the way to path, with path
// itself, that the user may not search, or nil.
func (u otherUser) search(path string) error {
	if parent := filepath.Dir(path); parent != path {
		if err := u.search(parent); err != nil {
			return err
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		return bare(err)
	}
	return u.needs(0o1, path, info)
}

// needs returns an error if the user does not have permissions on a file.
func (u otherUser) needs(permissions fs.FileMode, path string, info fs.FileInfo) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || u.may(permissions, info.Mode(), int(st.Uid), int(st.Gid)) {
		return nil
	}
	verb, bits, symbols := "search", "the x bit", "x"
	switch {
	case !info.IsDir():
		verb = "run"
	case permissions&0o4 != 0:
		verb, bits, symbols = "read", "the r and x bits", "rx"
	}
	return fmt.Errorf("it may not %s %s, which has the mode %04o, owner %s and group %s: give it %s (chmod o+%s %s)",
		verb, path, info.Mode().Perm(), accountName(int(st.Uid)), groupName(int(st.Gid)), bits, symbols, path)
}

// checkReaders returns an error if programs, which run as the user of this process or another one,
// may not read the directories below which they find their files, or may not be run. program is
// a path without symbolic links, or empty.
func checkReaders(as process.RunAs, dirs []string, program string) error {
	if as.User == "" {
		for _, dir := range dirs {
			if err := access(dir, unix.R_OK|unix.X_OK); err != nil {
				return fmt.Errorf("%s cannot be read by %s: %w: give that user r and x there (chmod), or start gatehouse as another user", dir, thisUser(), bare(err))
			}
		}
		return nil
	}
	u, err := findOther(as.User, as.Group)
	if err != nil {
		return nil // the start of programs tells it better
	}
	for _, dir := range dirs {
		if err := u.reach(dir, 0o5); err != nil {
			return fmt.Errorf("%s cannot be read by user %s: %w, or move it", dir, u.Username, err)
		}
	}
	if program == "" {
		return nil
	}
	if err := u.reach(program, 0o1); err != nil {
		return fmt.Errorf("%s cannot be run by user %s: %w, or use another one", program, u.Username, err)
	}
	return nil
}

// reach returns what keeps the user from a file: a directory on the way, or its own permissions.
func (u otherUser) reach(path string, permissions fs.FileMode) error {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return bare(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return bare(err)
	}
	if err := u.search(filepath.Dir(path)); err != nil {
		return err
	}
	return u.needs(permissions, path, info)
}

// may reports whether the user has permissions (1 search, 2 write, 4 read) on a file with this
// mode, owner and group: the first of the three classes that applies decides.
func (u otherUser) may(permissions, mode fs.FileMode, uid, gid int) bool {
	switch {
	case u.uid == 0:
		return true
	case u.uid == uid:
		return mode>>6&permissions == permissions
	case slices.Contains(u.groups, gid):
		return mode>>3&permissions == permissions
	}
	return mode&permissions == permissions
}
