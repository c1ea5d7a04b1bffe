package daemon

import (
	"errors"
	"fmt"
	"math"
	"os/user"
	"strconv"

	"gatehouse/internal/frontend"
)

// ParseUser returns the id of the user, given by name or number, whose processes may
// connect to unix sockets.
func ParseUser(s string) (uint32, error) {
	switch {
	case !frontend.KnowsUsers:
		return 0, errors.New("not available on this system: remove it, and set the permissions of the socket instead (mode=, group=)")
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
		return 0, fmt.Errorf("user %q has the id %q, which is not a number", s, u.Uid)
	}
	return uint32(n), nil
}

// checkUsers returns an error if there is no unix socket to which AllowUsers applies.
// A passed socket may be one.
func (c *Config) checkUsers() error {
	if len(c.AllowUsers) == 0 || !c.Listens() {
		return nil
	}
	for _, e := range c.addresses() {
		if e.address.Kind != AddressTCP {
			return nil
		}
	}
	return errors.New("allow_users is for unix sockets, and there is none: remove it, or listen on unix:PATH; for TCP, use allow")
}
