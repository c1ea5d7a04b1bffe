//go:build unix

package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// CheckFrontUser returns what keeps a web server whose processes run as the named user
// from connecting to the unix sockets of c: a directory on the way, the mode, owner and
// group of a socket, or allow_users. The error has a line for each problem. Only the
// owner, group and mode of files are considered, no access lists; that the files can be
// created is Check's matter.
func (c *Config) CheckFrontUser(name string) error {
	u, err := findOther(name, "")
	if err != nil {
		return err
	}
	var errs []error
	sockets := 0
	for _, e := range c.addresses() {
		if e.address.Kind == AddressUnix {
			sockets++
			if err := u.connect(e.address); err != nil {
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

// connect returns what keeps the user from connecting to a socket that this process
// creates, or nil.
func (u otherUser) connect(a Address) error {
	path, err := filepath.EvalSymlinks(filepath.Dir(a.Path))
	if err != nil {
		return bare(err)
	}
	if err := u.search(path); err != nil {
		return fmt.Errorf("%w, or choose another directory", err)
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
