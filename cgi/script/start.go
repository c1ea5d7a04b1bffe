package script

import (
	"errors"
	"time"
)

// startProgram starts a program, and finds out what is wrong with one that the system
// does not start.
func startProgram(c *command) (p *process, f *Finding) {
	var err error
	for pause := time.Millisecond; ; pause *= 2 {
		p, err = start(c)
		// A program that is being installed is open for writing for a moment.
		if !errors.Is(err, errBusy) || pause > 32*time.Millisecond {
			break
		}
		time.Sleep(pause)
	}
	if err == nil {
		return p, nil
	}
	return nil, startFinding(c.path, c.dir, err)
}
