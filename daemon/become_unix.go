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

// BecomeUser gives this process, all of its threads, the user of the given name or
// number, with that user's groups, and nothing of what it was before. Only root can.
func BecomeUser(name string) error {
	u, err := user.Lookup(name)
	if err != nil {
		if u, err = user.LookupId(name); err != nil {
			return fmt.Errorf("there is no user %q: create it, or write another one", name)
		}
	}
	uid, err := strconv.Atoi(u.Uid)
	if err == nil && uid == os.Geteuid() {
		return nil
	}
	gid, gerr := strconv.Atoi(u.Gid)
	list, lerr := u.GroupIds()
	if err := errors.Join(err, gerr, lerr); err != nil {
		return fmt.Errorf("user %q: %w", name, err)
	}
	groups := make([]int, 0, len(list))
	for _, s := range list {
		if g, err := strconv.Atoi(s); err == nil {
			groups = append(groups, g)
		}
	}
	for _, err := range []error{syscall.Setgroups(groups), syscall.Setgid(gid), syscall.Setuid(uid)} {
		if err != nil {
			return fmt.Errorf("%s may not become user %s: %w: start gatehouse as root, or as that user", thisUser(), u.Username, err)
		}
	}
	return nil
}
