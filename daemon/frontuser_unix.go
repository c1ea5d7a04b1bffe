//go:build unix

package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
)

// CheckFrontUser returns what keeps a web server whose processes run as the named user
// from connecting to the unix sockets of c: a directory on the way, the mode, owner and
// group of a socket, or allow_users. The error has a line for each problem. Only the
// owner, group and mode of files are considered, no access lists; that the files can be
// created is Check's matter.
func (c *Config) CheckFrontUser(name string) error {
	u, err := lookupUser(name)
	if err != nil {
		return err
	}
	ids, err := u.GroupIds()
	if err != nil {
		return fmt.Errorf("user %q: %w", name, err)
	}
	front := frontUser{account: u, groups: []int{u.gid}}
	for _, id := range ids {
		if g, err := strconv.Atoi(id); err == nil {
			front.groups = append(front.groups, g)
		}
	}
	var errs []error
	sockets := 0
	for _, e := range c.addresses() {
		if e.address.Kind == AddressUnix {
			sockets++
			if err := front.connect(e.address); err != nil {
				errs = append(errs, fmt.Errorf("unix:%s: user %s cannot connect: %w", e.address.Path, u.Username, err))
			}
		}
	}
	if sockets == 0 {
		return errors.New("there is no unix:PATH to which --front-user applies: the permissions of a passed socket are set where it is made (SocketUser=, SocketGroup=, SocketMode=)")
	}
	if len(c.AllowUsers) > 0 && !slices.Contains(c.AllowUsers, uint32(u.uid)) {
		errs = append(errs, fmt.Errorf("user %s is not in allow_users: add it", u.Username))
	}
	return errors.Join(errs...)
}

// A frontUser is the user of a web server's processes.
type frontUser struct {
	account
	groups []int
}

// connect returns what keeps the user from connecting to a socket that this process
// creates, or nil.
func (u frontUser) connect(a Address) error {
	path, err := filepath.EvalSymlinks(filepath.Dir(a.Path))
	if err != nil {
		return bare(err)
	}
	if err := u.search(path); err != nil {
		return err
	}
	uid, gid, err := a.ids()
	if err != nil {
		return err
	}
	dir, err := os.Stat(path)
	if err != nil {
		return bare(err)
	}
	if uid < 0 {
		uid = os.Geteuid()
	}
	if gid < 0 {
		gid = os.Getegid()
		if st, ok := dir.Sys().(*syscall.Stat_t); ok && dir.Mode()&fs.ModeSetgid != 0 {
			gid = int(st.Gid)
		}
	}
	if u.may(0o2, a.Mode, uid, gid) {
		return nil
	}
	return fmt.Errorf("the socket has the mode %04o, owner %s and group %s: write mode=, owner= or group= behind the address, as in unix:%s,group=%s",
		a.Mode.Perm(), accountName(uid), groupName(gid), a.Path, groupName(u.gid))
}

// search returns an error that names the highest directory on the way to path, with path
// itself, that the user may not search, or nil.
func (u frontUser) search(path string) error {
	if parent := filepath.Dir(path); parent != path {
		if err := u.search(parent); err != nil {
			return err
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		return bare(err)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || u.may(0o1, info.Mode(), int(st.Uid), int(st.Gid)) {
		return nil
	}
	return fmt.Errorf("it may not search %s, which has the mode %04o, owner %s and group %s: give it the x bit (chmod o+x %s), or choose another directory",
		path, info.Mode().Perm(), accountName(int(st.Uid)), groupName(int(st.Gid)), path)
}

// may reports whether the user has a permission (1 search, 2 write) on a file with this
// mode, owner and group: the first of the three classes that applies decides.
func (u frontUser) may(permission, mode fs.FileMode, uid, gid int) bool {
	switch {
	case u.uid == 0:
		return true
	case u.uid == uid:
		return mode>>6&permission != 0
	case slices.Contains(u.groups, gid):
		return mode>>3&permission != 0
	}
	return mode&permission != 0
}
