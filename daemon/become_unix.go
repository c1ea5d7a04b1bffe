//go:build unix

package daemon

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// BecomeUser makes this process, with all its threads, run as the user of the given name
// or number, with that user's groups only. Only root can do this.
func BecomeUser(name string) error {
	u, err := lookupUser(name)
	if err != nil || u.uid == os.Geteuid() {
		return err
	}
	list, err := u.GroupIds()
	if err != nil {
		return fmt.Errorf("user %q: %w", name, err)
	}
	groups := make([]int, 0, len(list))
	for _, s := range list {
		if g, err := strconv.Atoi(s); err == nil {
			groups = append(groups, g)
		}
	}
	return u.become(groups)
}

// Confine makes root the root directory of this process, and then makes the process run
// as the named user, with only the user's primary group. If root is empty, it is the
// user's home directory. Only root can do this.
func Confine(root, name string) error {
	u, err := lookupUser(name)
	if err != nil {
		return err
	}
	if root == "" {
		root = u.HomeDir
	}
	if err := syscall.Chroot(root); err != nil {
		return fmt.Errorf("%s cannot become the root directory: %w", root, err)
	}
	if err := os.Chdir("/"); err != nil {
		return fmt.Errorf("%s cannot be entered: %w", root, bare(err))
	}
	return u.become([]int{u.gid})
}

// PrimaryGroup returns the number of a user's primary group.
func PrimaryGroup(name string) (gid string, err error) {
	u, err := lookupUser(name)
	if err != nil {
		return "", err
	}
	return u.Gid, nil
}

// An account is a user with its ids as numbers.
type account struct {
	*user.User
	uid, gid int
}

func lookupUser(name string) (account, error) {
	u, err := user.Lookup(name)
	if err != nil {
		if u, err = user.LookupId(name); err != nil {
			return account{}, fmt.Errorf("there is no user %q: create it, or write another one", name)
		}
	}
	uid, err := strconv.Atoi(u.Uid)
	gid, gerr := strconv.Atoi(u.Gid)
	if err := errors.Join(err, gerr); err != nil {
		return account{}, fmt.Errorf("user %q: %w", name, err)
	}
	return account{u, uid, gid}, nil
}

// become makes all threads of this process run as the user, with these groups.
func (u account) become(groups []int) error {
	for _, set := range []func() error{
		func() error { return syscall.Setgroups(groups) },
		func() error { return syscall.Setgid(u.gid) },
		func() error { return syscall.Setuid(u.uid) },
	} {
		if err := set(); err != nil {
			return fmt.Errorf("%s may not become user %s: %w: start it as root, or as that user", thisUser(), u.Username, err)
		}
	}
	return nil
}
