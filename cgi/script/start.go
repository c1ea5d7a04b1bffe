package script

import (
	"errors"
	"io/fs"
	"net/http"
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
	if c.confined != nil {
		// What the program may see is not what a look at its files from here shows.
		if explained := c.confined.explain(err); explained != err {
			f = &Finding{Check: CheckSecurity, Path: c.path, Detail: explained.Error(), Code: http.StatusBadGateway, Err: err}
			if errors.Is(err, fs.ErrPermission) {
				f.Code = http.StatusForbidden
			}
			return nil, f
		}
	}
	return nil, startFinding(c.path, c.dir, err)
}
