package spool

import "os"

// createNamed makes a temporary file and removes its name at once, where the
// system allows that; elsewhere the name goes with the last close.
func createNamed(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "gatehouse-spool-*")
	if err != nil {
		return nil, err
	}
	return unlink(f)
}
