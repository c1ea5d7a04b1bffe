package daemon

import "errors"

// BecomeUser is not possible on Windows.
func BecomeUser(string) error {
	return errors.New("not available on Windows: run gatehouse as that user")
}
