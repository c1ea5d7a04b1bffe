package daemon

import (
	"errors"
	"fmt"
	"math"
	"os/user"
	"strconv"

	"gatehouse/internal/frontend"
)

// ParseUser reads the name or the number of a user whose processes may connect to unix
// sockets, and returns its number.
func ParseUser(s string) (uint32, error) {
	switch {
	case !frontend.KnowsUsers:
		return 0, errors.New("the users of unix sockets cannot be told on this system: remove it, and set the permissions of the socket (mode=, group=)")
	case s == "":
		return 0, errors.New("empty name: write a user, such as www-data")
	}
	if n, err := strconv.ParseUint(s, 10, 32); err == nil && n < math.MaxUint32 {
		return uint32(n), nil
	}
	u, err := user.Lookup(s)
	if err != nil {
		return 0, fmt.Errorf("there is no user %q: create it, or write another name, or a number", s)
	}
	n, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("user %q has the id %q, which is no number", s, u.Uid)
	}
	return uint32(n), nil
}

// checkUsers returns an error if nothing is listened on that the users concern. What
// was passed may be a unix socket.
func (c *Config) checkUsers() error {
	if len(c.AllowUsers) == 0 || !c.Listens() {
		return nil
	}
	for _, e := range c.addresses() {
		if e.address.Kind != AddressTCP {
			return nil
		}
	}
	return errors.New("allow_users is for unix sockets, and there is none: remove it, or listen on unix:PATH; for TCP there is allow")
}
