package daemon

import "errors"

var errNoUsers = errors.New("not available on Windows: start gatehouse as that user")

// BecomeUser is not available on Windows.
func BecomeUser(string) error { return errNoUsers }

// Confine is not available on Windows.
func Confine(root, user string) error { return errNoUsers }

// PrimaryGroup is not available on Windows.
func PrimaryGroup(user string) (gid string, err error) { return "", errNoUsers }
