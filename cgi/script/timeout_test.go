//go:build linux

package script

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/cgi"
)

// TestHandlerRunTime: the time limit of a Handler ends a program, too, and Run returns
// after it.
func TestHandlerRunTime(t *testing.T) {
	f := newFixture(t)
	f.sh(t, "slow", "echo $$ >pgid\nsleep 1000 & wait")
	h := cgi.Handler{RunTime: time.Second, Log: f.log.Logger()}
	s := new(recorder)
	res := h.Run(request("/slow"), s, f.App)
	if res.Code != 504 || !res.Overdue || res.End != cgi.Complete || !strings.Contains(res.Err.Error(), "(RunTime)") {
		t.Errorf("result %+v", res)
	}
	f.Close()
	pgid := filepath.Join(f.dir, "pgid")
	if _, err := os.Stat(pgid); err == nil { // it began in time
		checkNoGroup(t, pgid)
	}
	if log := f.log.String(); strings.Count(log, "\n") != 1 {
		t.Errorf("want one log line:\n%s", log)
	}
}
